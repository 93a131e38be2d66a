"""A person's word as it is left on an entry: for which stage it is, and where it is refused.

Requirements: REL-4.
"""

import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import names, sharing, shift, stages
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Interrupted, read_json

RUN = "20260101T000000Z-abcdef"


@pytest.fixture(params=["green", "blue"])
def entry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """An entry that gives 10 % of its clients to the release in a slot; its guard does not start."""
    monkeypatch.setattr(names, "SITES", tmp_path / "state")
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    monkeypatch.setattr(names.Site, "root", tmp_path / "srv")
    monkeypatch.setattr(Host, "systemctl", lambda *_, **__: "")
    host, slot = Host(names.Site("shop"), run=RUN, token=3), str(request.param)
    if slot == "blue":
        shift.confirm(host, slot="green", release="r1")
    shift.begin(host, slot=slot, release="r2", confirm_s=60)
    gives(host, 10)
    host.write_json(host.site.state / "operator.json", {"format": 1, "run": RUN, "word": ""})
    return host


def gives(host: Host, percent: int) -> None:
    shift.set_share(host, stages.share_of(shift.state(host)["candidate"], percent))


def say(host: Host, word: str, **told: Any) -> dict[str, Any]:
    sharing.say(host, {"roles": ["entry"], "word": word, "who": "ada@laptop", **told}, BytesIO())
    return left(host)


def left(host: Host) -> dict[str, Any]:
    return read_json(host.site.state / "operator.json")


def test_a_word_to_go_on_is_left_with_the_stage_that_it_is_for(entry: Host) -> None:
    assert say(entry, "promote", word_share=10)["percent"] == 10


def test_a_word_for_a_stage_that_is_over_is_refused_and_leaves_nothing(entry: Host) -> None:
    gives(entry, 50)
    with pytest.raises(Failed, match="meant for the stage with 10 % of the clients, and 50 % have") as failed:
        say(entry, "promote", word_share=10)
    assert failed.value.refused
    assert "--share" in failed.value.hint
    assert left(entry)["word"] == ""


@pytest.mark.parametrize("told", [{}, {"word_share": 0}])
def test_a_word_that_names_no_stage_is_for_the_one_in_which_it_comes(entry: Host, told: dict[str, Any]) -> None:
    said = say(entry, "promote", **told)
    assert "percent" not in said
    assert not stages.is_for(said, began=said["at"] + 1, percent=50)
    assert stages.is_for(said, began=said["at"] - 1, percent=10)


def test_a_word_to_go_back_is_for_every_stage(entry: Host) -> None:
    said = say(entry, "abort", word_share=50)
    assert said["word"] == "abort"
    assert stages.is_for(said, began=said["at"] + 1, percent=99)


def test_who_has_said_to_go_back_is_not_talked_over(entry: Host) -> None:
    said = say(entry, "abort")
    with pytest.raises(Failed, match="ada@laptop has said to go back") as failed:
        say(entry, "promote")
    assert (failed.value.refused, left(entry)) == (True, said)


@pytest.mark.parametrize(
    ("percent", "began", "heard"),
    [(10, 99.0, True), (50, 99.0, False), (10, 101.0, False)],
    ids=["its own", "the next one, which gives a share before it is written down", "one that gives as many again"],
)
def test_a_word_for_a_stage_is_heard_in_no_other_one(percent: int, began: float, heard: bool) -> None:
    word = {"word": "promote", "at": 100.0, "percent": 10}
    assert stages.is_for(word, began=began, percent=percent) == heard


def look(host: Host, log: Path) -> dict[str, Any]:
    log.write_text("")
    told = {"log": str(log), "place": [], "wait_s": 0.3, "salt": "5a17", "stages": [0.0], "hang_s": 5, "share": 0.1}
    slot = shift.state(host)["candidate"]
    request = {"roles": ["entry"], "slot": slot, "settings": {"confirm_s": 60}, "look": told}
    return sharing.look(host, request, BytesIO())


def test_whoever_is_asked_to_stop_while_he_looks_sends_the_clients_back_before_he_answers(
    entry: Host, tmp_path: Path
) -> None:
    entry.ask_to_stop()
    with pytest.raises(Interrupted) as interrupted:
        look(entry, tmp_path / "access.json")
    assert interrupted.value.facts["drawn_back_at"] == pytest.approx(time.time(), abs=60)
    assert shift.share(entry) == shift.full(shift.state(entry)["stable"])
    assert shift.state(entry)["phase"] == "shifting", "its run ends it"


def test_a_word_to_stop_that_is_for_another_run_sends_nobody_back(entry: Host, tmp_path: Path) -> None:
    Host(entry.site, run="20260101T000000Z-000000", token=3).ask_to_stop()
    look(entry, tmp_path / "access.json")
    assert shift.share(entry) == stages.share_of(shift.state(entry)["candidate"], 10)
