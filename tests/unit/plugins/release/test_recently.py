"""What an entry says of the live release: its own requests alone, and what it and the old one tell when they are asked.

Requirements: REL-5.
"""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import asking, names, recently, sharing, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import flight
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, utc
from ansible_collections.ferryman.ops.plugins.module_utils.release.lock import Now
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import live
from hypothesis import given
from hypothesis import strategies as st
from tests.support.access_log import line
from tests.support.placed import Placed
from tests.support.steps import metric

POOL = metric(name="pool", prometheus="pool_free", at_least=1)
Asks = Callable[..., dict[str, Any]]


class Asked:
    """What was asked of the application, and what comes of it."""

    def __init__(self) -> None:
        self.arms: list[tuple[str, ...]] = []
        self.good: list[bool | None] = [True, True]
        self.hanging = 0

    def both(self, _: Host, request: dict[str, Any], arms: tuple[str, ...]) -> dict[str, Any]:
        self.arms.append(arms)
        told = {"good": self.good, "said": ["0", "8"]}
        return {"probes": {}, "metrics": {each["name"]: told for each in request["description"]["metrics"]}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    monkeypatch.setattr(recently, "PAUSE_S", 0.0)
    monkeypatch.setattr(asking, "both", made.both)
    monkeypatch.setattr(sharing, "old_is_well", lambda *_: True)
    monkeypatch.setattr(flight, "waiting", lambda *_, **__: made.hanging)
    monkeypatch.setattr(Host, "command", lambda *_, **__: "")
    return made


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    (tmp_path / "state").mkdir()
    return Host(Placed("tiny", place=tmp_path), run="run", token=1)


def is_live(host: Host, *, for_s: float, **more: Any) -> None:
    """Have green serve everyone for so many seconds."""
    moment = now()
    left = {"slot": "blue", "boot": moment.boot, "at": moment.boottime - for_s}
    told = {"stable": "green", "candidate": None, "release_stable": "r2", "release_candidate": "", "phase": "stable"}
    shift.keep(host, {"format": 1, **told, "since": utc(time.time() - for_s), "left": left, **more})


def recent(host: Host, *lines: bytes, beside: str = "r1", for_s: float = 600) -> dict[str, Any]:
    log = host.site.state / "access.json"
    log.write_bytes(b"".join(lines))
    told = {"log": str(log), "salt": "5a17", "for_s": for_s, "hang_s": 5.0}
    request = {"recent": told, "description": {"metrics": [POOL]}, "beside": beside}
    request["settings"] = {"warm_s": 300.0, "drain_s": 30.0}
    found = recently.recent(host, request, io.BytesIO())["recent"]
    json.dumps(found)
    return dict(found)


def verdict(told: dict[str, Any]) -> tuple[str, str]:
    seen = live.evidence([told], declared=told["metrics"], limits=Limits())
    found = live.verdict(seen, Limits())
    return found.word, found.rule


def requests(told: dict[str, Any]) -> int:
    seen = live.evidence([told], declared=told["metrics"], limits=Limits())
    return sum(each.new.requests for each in seen.minutes)


def test_what_the_same_slot_served_before_the_release_was_everybodys_counts_for_nothing(
    host: Host, asked: Asked
) -> None:
    is_live(host, for_s=120)
    at = time.time()
    stages = [line(at - 121 - each, arm="green", status=500) for each in range(300)]
    over = line(at - 118, arm="green", seconds=4.0)  # it began in the last stage
    told = recent(host, *reversed(stages), over, *(line(at - each, arm="green") for each in range(100, 70, -1)))
    assert requests(told) == 30
    assert told["since"] == pytest.approx(at - 120, abs=2)
    assert verdict(told) == ("promote", "well")


def test_of_one_that_is_live_for_long_what_was_asked_for_counts(host: Host, asked: Asked) -> None:
    is_live(host, for_s=5000)
    at = time.time()
    told = recent(host, *(line(at - each, arm="green") for each in range(1200, 0, -10)), for_s=300)
    assert requests(told) == pytest.approx(30, abs=1)
    assert told["since"] == pytest.approx(at - 300, abs=2)


def test_it_reaches_no_further_back_than_the_log(host: Host, asked: Asked) -> None:
    is_live(host, for_s=5000)
    at = time.time()
    assert recent(host, line(at - 50, arm="green"))["since"] == pytest.approx(at - 50, abs=2)


@pytest.mark.parametrize("missing", [{"left": None}, {"since": None}, {"left": None, "since": "yesterday"}])
def test_a_host_that_does_not_know_since_when_goes_by_the_time_that_was_asked_for(
    host: Host, asked: Asked, missing: dict[str, Any]
) -> None:
    is_live(host, for_s=5000, **missing)
    at = time.time()
    told = recent(host, *(line(at - each, arm="green") for each in range(1200, 0, -10)))
    assert told["since"] == pytest.approx(at - 600, abs=2)
    assert requests(told) == pytest.approx(60, abs=1)


def test_behind_a_maintenance_page_nobody_is_asked_and_there_is_nothing_to_judge(host: Host, asked: Asked) -> None:
    is_live(host, for_s=5000)
    host.write(host.site.state / "maintenance", "")
    page = [line(time.time() - each, arm="", status=503) for each in range(300, 0, -1)]
    told = recent(host, *page, b"no line of this log\n")
    assert asked.arms == []
    assert verdict(told) == ("no_data", "few_requests")


def test_a_log_that_is_not_there_says_nothing(host: Host, asked: Asked) -> None:
    is_live(host, for_s=5000)
    told = recent(host)
    assert told["since"] == pytest.approx(time.time() - 600, abs=2)
    assert verdict(told) == ("no_data", "few_requests")


def test_a_number_that_is_bad_each_time_speaks_against_it_though_no_client_came(host: Host, asked: Asked) -> None:
    is_live(host, for_s=100)
    asked.good = [False, True]
    assert verdict(recent(host)) == ("rollback", "signal")
    assert asked.arms == [("green", "blue")] * 4


@pytest.mark.parametrize(("for_s", "beside"), [(400, "r1"), (100, "")])
def test_a_slot_that_is_cold_or_holds_nothing_to_go_back_to_is_not_asked(
    host: Host, asked: Asked, for_s: float, beside: str
) -> None:
    is_live(host, for_s=for_s)
    told = recent(host, beside=beside)
    assert asked.arms == [("green", "")] * 4
    assert {each.get("old_probe") for each in told["looks"]} == {None}


def test_one_that_answers_nobody_hangs_whatever_it_answered_before(host: Host, asked: Asked) -> None:
    is_live(host, for_s=200)
    at = time.time()
    asked.hanging = 7
    served = [line(at - each, arm="green") for each in range(190, 30, -1)]
    assert verdict(recent(host, *served)) == ("rollback", "stalled")
    assert verdict(recent(host, *served, line(at - 2, arm="green"))) == ("promote", "well")


def test_it_is_refused_while_clients_are_moved(host: Host, asked: Asked) -> None:
    is_live(host, for_s=200, phase="shifting", candidate="blue")
    with pytest.raises(Failed, match="are being moved"):
        recent(host)


MOMENT = Now(boottime=1000.0, boot="b")
AT = 1_764_190_020.0
boots = st.sampled_from(["b", "another"])
lefts = st.fixed_dictionaries({"slot": st.just("blue"), "boot": boots, "at": st.floats(0, 1000)})


@given(st.none() | lefts, st.none() | st.floats(AT - 5000, AT + 5000))
def test_since_when_it_serves_everyone_is_the_later_of_what_is_known_and_never_to_come(
    left: dict[str, Any] | None, since: float | None
) -> None:
    state = {"left": left, "since": since and utc(since)}
    found = recently.serves_since(state, MOMENT, AT)
    assert found <= AT
    if left and left["boot"] == "b":
        assert found >= AT - 1000 + left["at"] - 0.001
    if since and since <= AT:
        assert found >= since - 1
    if not since and (not left or left["boot"] != "b"):
        assert found == 0
