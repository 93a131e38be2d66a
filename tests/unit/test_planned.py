"""A plan on a screen: each section says what is so, also where there is nothing, and nothing runs over the edge."""

from pathlib import Path
from typing import Any

import pytest

from ferryman import planned, release
from ferryman.errors import Stop

LIVE = "20261122T103000Z-1a2b3c4"
INSTALLED = {
    "host": "web1",
    "role": "nginx",
    "task": "Main | Install nginx",
    "packages": [f"lib{number}" for number in range(40)],
    "paths": {"/etc/nginx/shop.conf": "new"},
    "did": ["/etc/nginx/shop.conf"],
    "diff": [],
}
LONG = "a subject that goes on and on, past what any screen of eighty columns can hold in one line"

DIFF = ["@@ -1 +1 @@", "-A=1", "+A=2", f" {LONG}"]


def commit(number: int, subject: str = "Say it") -> dict[str, str]:
    return {"commit": f"{number:040x}", "subject": subject, "author": "Ada", "committed_at": ""}


def host(name: str = "web1", **more: Any) -> dict[str, Any]:
    return {"host": name, "roles": ["app", "entry"], "provisioned": True, "serves": LIVE, **more}


def plan(**more: Any) -> dict[str, Any]:
    """A plan that changes everything, but for what a test says."""
    return {
        "environment": "prod",
        "app": "shop",
        "change": True,
        "against": {"release": LIVE, "commit": "1a2b3c4" + "0" * 33, "slot": "blue"},
        "wanted": {"commit": "9" * 40, "ref": "main", "dirty": False, "slot": "green"},
        "reasons": {"web1": f"{LIVE} is live"},
        "refused": [],
        "notes": [],
        "commits": {"known": True, "added": [commit(1, LONG), commit(2)], "dropped": [commit(3)]},
        "files": {
            "added": [{"path": f"static/{number}.css", "bytes": 1500} for number in range(20)],
            "changed": [{"path": "shop.py", "bytes": 10, "was_bytes": 9}],
            "removed": [],
        },
        "sent_bytes": 2_500_000,
        "dependencies": {"environment": "0123456789abcdef", "absent_on": ["web1"], "to_fetch": False},
        "configuration": [{"name": "run/web", "change": "changed", "diff": DIFF}],
        "secrets": {"TOKEN": "changed"},
        "migrations": {
            "run": True, "why": "their files have changed", "from": "0002", "dump": True,
            "added": ["migrations/0003.py"], "changed": [], "removed": [],
        },
        "hosts": [host()],
        "steps": [{"step": step, "hosts": ["web1"]} for step in ("stage", "start", "switch", "settle")],
        "pruned": {"web1": ["/srv/shop/releases/20261101T000000Z-0000000"]},
        "provision": {
            "changes": [
                INSTALLED,
            ]
        },
        **more,
    }  # fmt: skip


NOTHING = {
    "change": False,
    "reasons": {},
    "commits": {"known": True, "added": [], "dropped": []},
    "files": {"added": [], "changed": [], "removed": []},
    "sent_bytes": 0,
    "dependencies": {"environment": "", "absent_on": [], "to_fetch": False},
    "configuration": [],
    "secrets": {},
    "migrations": {
        "run": False, "why": "they are those of the live release", "from": "", "dump": False,
        "added": [], "changed": [], "removed": [],
    },
    "steps": [],
    "pruned": {},
    "provision": {"changes": []},
}  # fmt: skip
FIRST = {
    "against": {"release": "", "commit": "", "slot": "blue"},
    "hosts": [host("web1", provisioned=False), host("web2", provisioned=False)],
}


def section(page: str, title: str) -> list[str]:
    """The lines of a section."""
    blocks = {block.split("\n")[0]: block.split("\n")[1:] for block in page.split("\n\n")}
    return [line.strip() for line in blocks[title]]


@pytest.mark.parametrize("more", [{}, NOTHING, FIRST, {**NOTHING, **FIRST}], ids=["all", "nothing", "first", "bare"])
def test_every_section_says_something_and_fits_the_screen(more: dict[str, Any]) -> None:
    page = planned.page(plan(**more))
    for title in ("Release", "Files", "Configuration", "Migrations", "Hosts and steps", "Provisioning"):
        assert section(page, title)
    assert max(map(len, page.splitlines())) <= 80
    assert all(line == line.rstrip() for line in page.splitlines())


def test_nothing_is_said_in_one_line_where_nothing_would_change() -> None:
    page = planned.page(plan(**NOTHING))
    assert page.startswith("shop on prod: nothing would change\n")
    assert section(page, "Provisioning") == ["nothing would change"]


def test_what_changes_is_named() -> None:
    page = planned.page(plan())
    assert "2 commits come:" in section(page, "Release")
    assert "1 commit goes:" in section(page, "Release")
    files = section(page, "Files")
    assert files[0] == "20 added (30.0 kB), 1 changed (10 B), 0 removed (0 B)"
    assert "and 9 more (--json has all)" in files
    assert "2.5 MB are sent" in files
    assert section(page, "Configuration") == [
        "~ run/web",
        "-A=1",
        "+A=2",
        f"{LONG[:70]}...",
        "~ secret TOKEN (changed)",
    ]
    assert section(page, "Migrations")[:2] == ["run: their files have changed", "the schema is at 0002"]
    assert "1. stage, start, switch, settle: web1" in section(page, "Hosts and steps")
    assert "- /srv/shop/releases/20261101T000000Z-0000000" in section(page, "Hosts and steps")
    assert section(page, "Provisioning")[1] == "nginx: Install nginx"
    assert page.count("/etc/nginx/shop.conf") == page.count("+ /etc/nginx/shop.conf") == 1


def test_steps_are_numbered_where_the_hosts_change() -> None:
    steps = [("stage", ["web1", "web2"]), ("migrate", ["web1"]), ("start", ["web1", "web2"])]
    page = planned.page(plan(steps=[{"step": step, "hosts": hosts} for step, hosts in steps]))
    lines = section(page, "Hosts and steps")
    assert lines[1:4] == ["1. stage: web1, web2", "2. migrate: web1", "3. start: web1, web2"]


def test_a_refusal_stands_above_all_with_the_way_out() -> None:
    refused = [{"host": "web1", "reason": "ada@laptop holds the lock", "hint": "wait until then"}]
    head = planned.page(plan(refused=refused)).split("\n\n")[0]
    assert "a deploy would be refused now: web1: ada@laptop holds the lock" in head
    assert "wait until then" in head


def test_a_bare_host_is_sent_to_provisioning_first() -> None:
    head = planned.page(plan(**FIRST)).split("\n\n")[0]
    assert "never provisioned: web1, web2" in head
    assert "provision --env prod" in head


def test_an_unknown_live_commit_is_no_empty_list() -> None:
    page = planned.page(plan(commits={"known": False, "added": [], "dropped": []}))
    assert "commits unknown: 1a2b3c4, which is live, is not in this repository" in section(page, "Release")


def test_dependencies_that_are_not_here_make_the_size_unknown() -> None:
    needs = {"environment": "0123456789abcdef", "absent_on": ["web1"], "to_fetch": True}
    files = section(planned.page(plan(dependencies=needs, sent_bytes=None)), "Files")
    assert "what it depends on is not here yet: a deploy fetches it first" in files
    assert not [line for line in files if "sent" in line]


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (".", "is a directory"),
        ("gone/plan.json", "does not exist"),
        ("/proc/plan.json", "cannot be written"),  # there is no right to write there, not even for root
        (f"{'long' * 64}.json", "cannot be written: File name too long"),
    ],
)
def test_a_plan_that_cannot_be_written_is_refused_before_it_is_made(
    out: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Stop, match=told) as stop:
        release.plan("", app="", ref="", allow_dirty=False, out=out)
    assert stop.value.hint


def test_a_trial_leaves_no_file_and_changes_none(tmp_path: Path) -> None:
    new, there = tmp_path / "new.json", tmp_path / "there.json"
    there.write_text("as it was")
    for out in (new, there):
        planned.require_writable(out)
    assert (new.exists(), there.read_text()) == (False, "as it was")


def test_a_disk_that_is_full_by_then_is_told_in_a_sentence() -> None:
    planned.require_writable(Path("/dev/full"))
    with pytest.raises(Stop, match="/dev/full cannot be written: No space"):
        planned.write({"hosts": []}, Path("/dev/full"))


def test_a_plan_for_a_hotfix_says_so_in_its_first_line() -> None:
    assert planned.page(plan(hotfix=True)).startswith("shop on prod: this is what would change by a hotfix\n")
