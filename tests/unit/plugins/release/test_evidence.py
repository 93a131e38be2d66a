"""What a failure shows of a unit's log: this start's own words, and nothing twice."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import evidence, shift, slots
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from hypothesis import given
from hypothesis import strategies as st
from tests.support.placed import Placed
from tests.unit.plugins.release.test_look import TWO, put

UNIT = "shop-web@green-1.service"


def said(text: str, run: str = "a") -> dict[str, Any]:
    return {"MESSAGE": text, "PRIORITY": "6", "_SYSTEMD_INVOCATION_ID": run}


def systemd(text: str, run: str = "a", *, priority: int = 6) -> dict[str, Any]:
    return {"MESSAGE": text, "PRIORITY": str(priority), "UNIT": UNIT, "INVOCATION_ID": run}


def crash(run: str, number: int) -> list[dict[str, Any]]:
    return [
        systemd(f"Started {UNIT} - shop web 1 (green).", run),
        said(f"[{number}] no such table", run),
        systemd(f"{UNIT}: Main process exited, code=exited, status=1/FAILURE", run, priority=5),
        systemd(f"{UNIT}: Scheduled restart job, restart counter is at {number}.", run),
    ]


def shown(*records: dict[str, Any], most: int = 30) -> list[str]:
    return [line.removeprefix(f"{UNIT}: ") for line in evidence.lines(UNIT, records, most=most)]


def test_a_repeated_crash_is_shown_once_and_without_what_systemd_says_of_every_start() -> None:
    ended = "Main process exited, code=exited, status=1/FAILURE"
    assert shown(*crash("a", 1), *crash("b", 2), *crash("c", 3)[:2]) == ["[1] no such table", ended]


def test_a_crash_of_another_kind_is_shown_too() -> None:
    assert "disk full" in shown(*crash("a", 1), said("disk full", "b"))


def test_where_the_application_said_nothing_systemd_speaks() -> None:
    told = [systemd("Starting shop web"), systemd(f"{UNIT}: Failed to locate executable", priority=3)]
    assert shown(*told) == ["Starting shop web", "Failed to locate executable"]


def test_a_trace_that_is_cut_short_keeps_its_beginning_and_its_end() -> None:
    trace = ["Traceback (most recent call last):", *(f"  File {n}" for n in range(40)), "KeyError: 'SHOP'"]
    told = shown(said("listening"), *map(said, trace), most=8)
    assert told[0] == trace[0]
    assert told[-1] == trace[-1]
    assert len(told) == 8


@given(st.lists(st.sampled_from(["a", " b", "c", "\td"]), max_size=40), st.integers(8, 30))
def test_no_more_is_shown_than_asked_for_and_the_end_always(texts: list[str], most: int) -> None:
    told = shown(*map(said, texts), most=most)
    assert len(told) == min(most, len(texts))
    assert told[-1:] == texts[-1:]


def test_what_is_no_text_is_shown_as_far_as_it_goes() -> None:
    assert shown({"MESSAGE": [104, 105, 255]}, {"MESSAGE": None}) == ["hi\N{REPLACEMENT CHARACTER}"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose slot green got release TWO at 1000.25 s, and whose journalctl repeats what it was called with."""
    site = Placed("shop", place=tmp_path)
    put(site, TWO)
    path = site.release(TWO) / "release.json"
    web = {"web": {"kind": "web", "command": "run", "instances": 1}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "processes": web}))
    site.slot("green").parent.mkdir(exist_ok=True)
    site.slot("green").symlink_to(f"../releases/{TWO}")
    os.utime(site.slot("green"), ns=(0, 1_000_250_000_000), follow_symlinks=False)
    site.settings.mkdir()
    (site.settings / "ports.json").write_text(json.dumps({"format": 1, "ports": {"web": {"green": [1]}}}))
    monkeypatch.setattr(Host, "command", lambda _, *words, **__: json.dumps({"MESSAGE": " ".join(words)}))
    return Host(site)


def test_what_a_slot_ran_before_is_no_evidence(host: Host) -> None:
    (line,) = shift.app_logs(host, "green")
    assert "--since=@1000.250000 " in f"{line} "


def test_what_the_same_release_said_before_it_was_started_anew_is_no_evidence(host: Host) -> None:
    host.started["green"] = 2000.5
    assert slots.began(host, "green") == 2000.5
    assert slots.since(host, "green") == "1970-01-01T00:16:40.250000Z", "when the slot changed is another question"
