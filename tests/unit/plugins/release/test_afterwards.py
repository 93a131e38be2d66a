"""Once a release is live: how long its host watches it, of what that watch still is, and what the way back is told."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import afterwards, bringing_back, following
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.lock import Now
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import pack
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plugins.release.test_look import ONE, ROLES, TWO
from tests.unit.plugins.release.test_look import host as host

TOLD = {"slot": "green", "release": "r2", "before": "r1", "boot": "b", "until": 1000.0}
LIVE = {"phase": "stable", "stable": "green", "release_stable": "r2", "candidate": None}
OTHERS: list[dict[str, Any]] = [
    {"phase": "shifting", "candidate": "blue"},
    {"phase": "doubt"},
    {"stable": "blue"},
    {"release_stable": "r3"},
]


def moment(boottime: float, boot: str = "b") -> Now:
    return Now(boottime=boottime, boot=boot, utc="")


@given(st.floats(0, 2000))
def test_a_watch_goes_on_for_the_old_slots_warm_time_and_no_longer(boottime: float) -> None:
    assert afterwards.goes_on(TOLD, LIVE, moment(boottime), holds="r1") == (boottime < 1000)


@given(st.sampled_from(OTHERS), st.floats(0, 999))
def test_it_is_over_once_anything_else_is_done_with_what_is_live(other: dict[str, Any], boottime: float) -> None:
    assert not afterwards.goes_on(TOLD, {**LIVE, **other}, moment(boottime), holds="r1")


@given(st.sampled_from(["", "r3"]), st.floats(0, 999))
def test_nobody_goes_back_to_what_a_deploy_left_in_the_old_slot_that_came_to_nothing(
    holds: str, boottime: float
) -> None:
    assert not afterwards.goes_on(TOLD, LIVE, moment(boottime), holds=holds)


def test_it_is_over_after_a_reboot_since_the_old_slot_is_cold() -> None:
    assert not afterwards.goes_on(TOLD, LIVE, moment(10, boot="another"), holds="r1")


SETTINGS = {"warm_s": 300.0, "soak_s": 5.0, "watch_s": 600.0, "keep": 5}


@pytest.mark.parametrize("code", ["none", "damaged", "an older one"])
def test_where_the_host_has_no_code_for_it_nobody_is_told_that_it_watches(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    there = tmp_path / "host.pyz"
    monkeypatch.setattr(following, "PYZ", there)
    if code == "damaged":
        there.write_text("no zip")
    elif code == "an older one":
        with zipfile.ZipFile(there, "w") as packed:
            packed.writestr("release/guard.py", "")
    request = {"slot": "green", "release": TWO, "roles": ROLES, "entry": {}, "settings": SETTINGS, "after": {}}
    assert afterwards.begin(host, request) == 0
    assert not (host.site.state / "after.json").exists()


def test_what_provisioning_leaves_on_a_host_knows_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "host.pyz"
    there.write_bytes(pack.packed())
    monkeypatch.setattr(following, "PYZ", there)
    assert following.knows_how()


SEAL = "known to hosts of this run"


@given(st.sampled_from(["", "r", "another"]), st.booleans())
def test_of_several_hosts_the_watch_is_over_once_another_run_has_begun_whatever_the_arbiters_slots_hold(
    last: str, alone: bool
) -> None:
    told = {**TOLD, "before": "", "run": "r", "seal": "" if alone else SEAL}
    assert afterwards.goes_on(told, LIVE, moment(10), holds="", last=last) == (alone or last == "r")


def test_the_way_back_is_told_what_a_driver_would_tell_of_a_rollback(host: Host) -> None:
    told = {"roles": ROLES, "entry": {"domain": "tiny.test"}, "settings": SETTINGS, "after": {}, "seal": ""}
    request = bringing_back.asked(host, told, slot="blue")
    json.dumps(request)
    assert (request["release"], request["slot"], request["roles"]) == (ONE, "blue", ROLES)
    line = request["line"]
    assert (line["event"], line["release"], line["previous"], line["who"]) == ("rollback", ONE, TWO, "guard")
    assert "reason" not in line, "the way back of the way back has another"
    assert (request["settings"]["soak_s"], request["settings"]["watch_s"]) == (0, 0), "it has served these clients"
    assert request["settings"]["keep"] == 5
    assert not {"seal", "undoes"} & {*request}, "nobody follows"


def test_an_arbiter_that_runs_no_release_goes_back_by_what_it_was_told_of_the_one_before(host: Host) -> None:
    back = {"release": ONE, "description": {"processes": {}, "health": {"checks": []}}}
    told = {"roles": ["entry", "arbiter"], "entry": {}, "settings": SETTINGS, "after": {"back": back}, "seal": SEAL}
    request = bringing_back.asked(host, {**told, "run": "run-2"}, slot="blue")
    assert {key: request[key] for key in back} == back
    assert (request["undoes"], request["seal"]) == ("run-2", SEAL)
