"""What a task changed is read from its result: packages, paths, differences; nothing twice in one run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman import changes
from ferryman.runs import Event

APT = """\
Reading package lists...
The following additional packages will be installed:
  libpopt0 nginx-common
Suggested packages:
  fcgiwrap nginx-doc
The following NEW packages will be installed:
  libpopt0 logrotate
  nginx nginx-common
The following packages will be upgraded:
  openssl
0 upgraded, 4 newly installed, 0 to remove and 0 not upgraded.
"""


def ok(host: str = "web1", **result: Any) -> Event:
    return Event("ok", "Main | Install", host, {"changed": True, **result}, 0.1, "ferryman.ops.nginx")


def test_packages_are_those_that_apt_would_install_or_upgrade_and_no_suggestions() -> None:
    change = changes.change_of(ok(diff={"prepared": APT}))
    assert change
    assert change["packages"] == ["libpopt0", "logrotate", "nginx", "nginx-common", "openssl"]
    assert (change["host"], change["role"], change["task"]) == ("web1", "nginx", "Main | Install")


def test_files_are_told_by_path_with_what_differs() -> None:
    diff = [
        {"after_header": "/etc/a.conf", "before": "one\ntwo\n", "after": "one\nthree\n"},
        {"before_header": "/etc/b.json (content)", "before": {}, "after": {"format": 1}},
        {"before": "loose", "after": "loose"},
    ]
    change = changes.change_of(ok(diff=diff))
    assert change
    assert change["paths"] == {"/etc/a.conf": "changed", "/etc/b.json": "new"}
    assert change["diff"] == [
        *["/etc/a.conf", "@@ -1,2 +1,2 @@", " one", "-two", "+three"],
        *["/etc/b.json", "@@ -0,0 +1,3 @@", "+{", '+ "format": 1', "+}"],
    ]


def test_what_our_modules_say_that_they_did_is_told() -> None:
    change = changes.change_of(ok(changes=["account app-shop"], steps=[{"step": "stage"}], acts=["enable x.timer"]))
    assert change
    assert change["did"] == ["account app-shop", "enable x.timer"]


def test_of_a_loop_the_items_that_changed_count() -> None:
    items = [{"changed": True, "changes": ["one"]}, {"changed": False, "changes": ["two"]}]
    change = changes.change_of(ok(results=items))
    assert change
    assert change["did"] == ["one"]


@pytest.mark.parametrize(
    "event", [ok(changed=False), Event("failed", "x", "web1", {"changed": True}), Event("task", "x")]
)
def test_what_changed_nothing_is_no_change(event: Event) -> None:
    assert changes.change_of(event) is None


names = st.lists(st.sampled_from("abcde"), min_size=1, unique=True)
tasks = st.lists(st.tuples(st.sampled_from(["web1", "web2"]), names), max_size=8)


@given(tasks)
def test_a_package_comes_once_to_a_host_and_a_task_that_finds_all_there_changes_nothing(told: Any) -> None:
    """As a real run does it: each task installs what is not there yet, and is changed if that is anything."""
    there: dict[str, set[str]] = {"web1": set(), "web2": set()}
    real = []
    for host, packages in told:
        new = [name for name in packages if name not in there[host]]
        there[host].update(new)
        if new:
            real.append((host, new))
    found = changes.in_one_run({"host": host, "packages": packages} for host, packages in told)
    assert [(each["host"], each["packages"]) for each in found] == real


def test_what_installs_no_package_stays_as_often_as_it_is_told() -> None:
    change = {"host": "web1", "packages": [], "paths": {"/etc/a": "new"}}
    assert changes.in_one_run([change, change]) == [change, change]
