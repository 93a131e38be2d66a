"""Whoever presses Ctrl-C gets back to what served; who presses it twice is told what the hosts do then.

Requirements: REL-7.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from tests.faults.test_drivers import CONFIRM_S, begin, settles
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.processes import living, outlived
from tests.support.site import Site
from tests.support.terminal import CTRL_C, Terminal

Of = TypeVar("Of")


def deploying(site: Site, commit: str) -> Terminal:
    """Begin a deploy as a person does, on a terminal."""
    argv = [sys.executable, "-m", "ferryman", "deploy", "--env", "dev", "--app", site.app, "--ref", commit]
    environment = {key: value for key, value in os.environ.items() if key not in ("TERM", "COLUMNS", "LINES")}
    return Terminal(argv, site.root, environment | site.extra, columns=200)


def until(look: Callable[[], Of], within_s: float = 60) -> Of:
    """Wait until there is something to see, and return it."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s"
        time.sleep(0.2)
    return found


def starts(site: Site) -> int:
    """Return how often the host has begun to start a release."""
    return sum((line["step"], line["result"]) == ("start", "started") for line in site.journal())


def serves(prober: Prober, commit: str) -> bool:
    """Say whether clients were sent to a release of this commit."""
    return any(release.endswith(commit[:7]) for release in prober.releases)


def whole_again(site: Site, before: str, commit: str) -> str:
    """Assert that one release serves, nobody holds the lock, and the next deploy works; return its release."""
    assert settles(site, CONFIRM_S + 5) == before
    arbiter = site.arbiter()
    assert not arbiter["lock"]["alive"], arbiter["lock"]
    assert not arbiter["unfinished"], arbiter["unfinished"]
    again = site.deploy(commit)
    assert again.code == 0, str(again)
    assert site.served() == again.said["release"]
    return str(again.said["release"])


@pytest.mark.parametrize(
    ("step", "begun", "settings", "means"),
    [
        pytest.param(
            *("Stage the release", "", {"release_soak_s": 5}, "Clients were never sent to it"),
            marks=pytest.mark.at_times(journey="Ctrl-C at staging"),
        ),
        pytest.param(
            *("Stage the release", "starts", {"release_soak_s": 60}, "Clients were never sent to it"),
            marks=pytest.mark.at_times(journey="Ctrl-C in the gate"),
        ),
        ("Send the clients", "serves", {"release_watch_s": 60, "release_confirm_s": 90}, "Clients were sent back"),
    ],
    ids=["at staging", "in the gate", "between switch and confirmation"],
)
def test_ctrl_c_goes_back_says_so_at_once_and_leaves_the_site_whole(
    site: Site, step: str, begun: str, settings: dict[str, float], means: str
) -> None:
    before, commit = site.served(), site.repository.commit(good(f"interrupted {time.time_ns()}"))
    earlier = starts(site)
    with Prober(site) as prober:
        look = {"starts": lambda: starts(site) > earlier, "serves": lambda: serves(prober, commit)}
        with site.settings(**settings):
            terminal = deploying(site, commit)
            assert terminal.wait_for(step), terminal.text()
            until(look.get(begun, lambda: True))
            terminal.press(CTRL_C)
            assert terminal.wait_for("interrupted: going back", 10), terminal.text()
            code = terminal.wait(45)
        shown = " ".join(terminal.text().split())
        if not begun and code == 1:  # so early that the host had done nothing yet
            means = "Nothing was touched."
            did = {line["step"] for line in site.journal() if line["release"].endswith(commit[:7])}
            assert did <= {"return"}
        else:
            assert code == 2, shown
        assert "it was interrupted" in shown
        assert means in shown
        assert "again leaves at once" in shown
        assert not terminal.screen.cursor.hidden
        live = whole_again(site, before, commit)
    prober.served_only(before, *{release for release in prober.releases if release.endswith(commit[:7])}, live)


@pytest.mark.at_times(journey="Ctrl-C in a rollback")
def test_a_rollback_that_is_interrupted_says_nothing_against_its_release(site: Site) -> None:
    first = site.good("to go back to")
    second = site.good("to go back from")
    earlier = starts(site)
    with site.settings(release_soak_s=60):
        driver = site.begin("rollback", "--app", site.app, "--env", "dev", "--json")
        until(lambda: starts(site) > earlier)
        os.kill(driver.process.pid, signal.SIGTERM)
        assert driver.wait(45).code == 2
    assert site.served() == second
    again = site.rollback()
    assert (again.code, again.said["release"]) == (0, first), str(again)


def test_sigterm_in_a_pipeline_goes_back_too_and_its_json_says_so(site: Site) -> None:
    before, commit = site.served(), site.repository.commit(good("cancelled in a pipeline"))
    earlier = starts(site)
    with site.settings(release_soak_s=60), Prober(site) as prober:
        driver = begin(site, commit)
        until(lambda: starts(site) > earlier)
        os.kill(driver.process.pid, signal.SIGTERM)
        answer = driver.wait(45)
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert "it was interrupted" in answer.said["reason"]
    assert "interrupted: going back" in answer.err
    live = whole_again(site, before, commit)
    prober.served_only(before, live)


def test_ctrl_c_before_anything_was_touched_says_that_and_ends_with_1(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("never begun"))
    terminal = deploying(site, commit)
    assert terminal.wait_for("Read the source"), terminal.text()
    terminal.press(CTRL_C)
    assert terminal.wait(45) == 1, terminal.text()
    assert "Nothing was touched." in terminal.text()
    assert not site.arbiter()["lock"]["alive"]
    prober.served_only(before)


@pytest.mark.at_times(journey="Ctrl-C in builds and installations")
def test_ctrl_c_ends_a_build_with_all_that_it_began(site: Site, prober: Prober, tmp_path: Path) -> None:
    before, mark = site.served(), tmp_path / "group"
    commands = [f"sleep 600 & echo $$ > {mark}; sleep 600"]
    commit = site.repository.commit(good("built for hours", build={"commands": commands}))
    try:
        terminal = deploying(site, commit)
        group = int(until(lambda: mark.read_text().strip() if mark.exists() else ""))
        assert living(group)
        terminal.press(CTRL_C)
        assert terminal.wait(45) == 1, terminal.text()
        assert "Nothing was touched." in terminal.text()
        assert outlived(group) == []
    finally:
        commit = site.repository.commit(good("built in no time", build={"commands": []}))
    live = whole_again(site, before, commit)
    prober.served_only(before, live)


SLOW_INSTALL = """
import os, sys, time
if "venv" in sys.orig_argv:
    open("/run/installing", "w").write(str(os.getpid()))
    time.sleep(600)
"""


@pytest.mark.at_times(journey="Ctrl-C in builds and installations")
def test_ctrl_c_ends_an_installation_on_the_host(site: Site, prober: Prober) -> None:
    before = site.served()
    lock = site.repository.path / "requirements.txt"
    lock.write_text(f"{lock.read_text()}# Another one: {time.time_ns()}\n")
    commit = site.repository.commit(good("installed for hours"))
    module = site.ssh("python3 -c 'import sitecustomize; print(sitecustomize.__file__)'")
    site.ssh(f"cp -a $(readlink -f {module}) /root/sitecustomize.py; cat >> {module}", given=SLOW_INSTALL)
    try:
        terminal = deploying(site, commit)
        process = until(lambda: site.ssh("cat /run/installing", check=False))
        terminal.press(CTRL_C)
        assert terminal.wait(45) == 2, terminal.text()
        assert "Clients were never sent to it" in " ".join(terminal.text().split())
        assert site.ssh(f"test -d /proc/{process} || echo gone") == "gone"
    finally:
        site.ssh(f"cat /root/sitecustomize.py > {module}; rm -f /root/sitecustomize.py /run/installing")
    live = whole_again(site, before, commit)
    prober.served_only(before, live)


@pytest.mark.at_times(journey="Ctrl-C twice")
def test_the_second_ctrl_c_leaves_now_and_says_what_the_hosts_do(site: Site) -> None:
    before, commit = site.served(), site.repository.commit(good("left in the middle"))
    with Prober(site) as prober:
        with site.settings(release_watch_s=60, release_confirm_s=CONFIRM_S):
            terminal = deploying(site, commit)
            until(lambda: serves(prober, commit))
            terminal.press(CTRL_C)
            assert terminal.wait_for("interrupted: going back", 10), terminal.text()
            terminal.press(CTRL_C)
            code = terminal.wait(20)
        shown = " ".join(terminal.text().split())
        assert code == 3, shown
        assert f"undone by them within {CONFIRM_S:g} s, and the lock is free after 30 s" in shown
        assert f"status --env dev --app {site.app}" in shown
        assert settles(site, CONFIRM_S + 5) == before
        site.run("unlock", "--app", site.app, "--yes")
        again = site.deploy(commit)
        assert again.code == 0, str(again)
        assert site.served() == again.said["release"]
    begun = {release for release in prober.releases if release.endswith(commit[:7])}
    prober.served_only(before, *begun)


def test_what_is_committed_is_not_taken_back_by_ctrl_c(site: Site, prober: Prober) -> None:
    before, commit = site.served(), site.repository.commit(good("committed all the same"))
    with site.settings(release_worker_soak_s=0):
        driver = begin(site, commit)
        assert driver.wait_for_step("Settle")
        until(lambda: site.ledger()[-1].get("status") == "live", within_s=20)
        os.kill(driver.process.pid, signal.SIGINT)
        answer = driver.wait(45)
    assert (answer.code, answer.said["status"]) == (0, "live"), str(answer)
    assert site.served().endswith(commit[:7])
    prober.served_only(before, site.served())
