"""What is asked for, how answers of many hosts become one story, and what it looks like."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman import logs, logs_telling, moments, paths
from ferryman.errors import Stop

NOW = 1_795_343_400.0  # 2026-11-22T10:30:00Z


def line(at: int, **more: Any) -> dict[str, Any]:
    made = {"at": at, "time": "2026-11-22T10:30:00.123456Z", "app": "shop", "process": "web", "slot": "blue"}
    return {**made, "release": "20261122T103000Z-1a2b3c4", "level": "info", "request_id": "", "message": "m",
            "fields": {}, **more}  # fmt: skip


def asked(*, lines: int = 200, follow: bool = False, **words: str) -> dict[str, Any]:
    return logs.asked(words, lines=lines, follow=follow, now=NOW)


# Moments


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("10m", NOW - 600), ("2h30m", NOW - 9000), ("1d", NOW - 86400), ("1w", NOW - 7 * 86400),
     ("45s", NOW - 45), ("now", NOW),
     ("today", NOW - 10.5 * 3600), ("yesterday", NOW - 34.5 * 3600), ("2026-11-22", NOW - 10.5 * 3600),
     ("2026-11-22T10:29", NOW - 60), ("2026-11-22 10:29:00", NOW - 60), ("2026-11-22T11:30:00+01:00", NOW),
     ("2026-11-22T10:30:00.5Z", NOW + 0.5)],
)  # fmt: skip
def test_moments_are_said_in_many_ways(word: str, seconds: float) -> None:
    assert moments.read(word, "since", now=NOW) == seconds


@given(st.text(max_size=12))
def test_any_other_word_is_refused_with_words_that_are_right(word: str) -> None:
    with pytest.raises(Stop, match="--since") as caught:
        moments.read(f"{word}?", "since", now=NOW)
    assert "10m" in caught.value.hint


def test_every_word_for_a_time_is_told_where_people_look() -> None:
    guide = (paths.CHECKOUT / "docs/guides/logs.md").read_text()
    row = next(line for line in guide.splitlines() if line.startswith("| `--since`"))
    for word in (*moments.UNITS, *moments.DAYS, "now"):
        assert f"`{word}`" in row, word
    examples = moments.SAID.partition(" (")[0].split(", ")
    assert [moments.read(each, "since", now=NOW) for each in examples]
    assert {each for each in examples if each.isalpha()} == {*moments.DAYS, "now"}


# Asking


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Stop) as caught:
        asked(since="soon", until="later", level="loud", grep="(", lines=0)
    for word in ("--since: 'soon'", "--until: 'later'", "--level: 'loud'", "--grep: '('", "--lines: 0"):
        assert word in caught.value.message
    assert "warning" in caught.value.hint


@pytest.mark.parametrize(
    "words", [{"since": "1m", "until": "1h"}, {"since": "2026-11-22T10:30", "until": "2026-11-21"}]
)
def test_a_time_that_ends_before_it_begins_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(Stop, match="after --until"):
        logs.asked(words, lines=1, follow=False, now=NOW)


def test_following_has_no_end() -> None:
    with pytest.raises(Stop, match="--follow"):
        asked(follow=True, until="now")


def test_what_is_asked_are_the_roles_variables() -> None:
    assert asked(app="shop", since="10m", lines=5) == {
        "logs_app": "shop", "logs_since": NOW - 600, "logs_lines": 5, "logs_follow": False,
    }  # fmt: skip


# Merging

HOSTS = st.dictionaries(st.sampled_from(["a1", "b1", "c1"]), st.lists(st.integers(0, 50), max_size=12).map(sorted))


def labelled(hosts: dict[str, list[int]]) -> dict[str, list[dict[str, Any]]]:
    return {
        host: [line(at, message=f"{host}-{number}") for number, at in enumerate(times)] for host, times in hosts.items()
    }


@given(HOSTS)
def test_a_merge_is_in_order_and_keeps_every_line_once(hosts: dict[str, list[int]]) -> None:
    merged = logs.merge(labelled(hosts))
    assert [each["at"] for each in merged] == sorted(at for times in hosts.values() for at in times)
    for host, times in hosts.items():
        assert [each["message"] for each in merged if each["host"] == host] == [
            f"{host}-{n}" for n in range(len(times))
        ]


@settings(max_examples=200)
@given(HOSTS, st.data())
def test_following_keeps_every_line_once_and_the_order_of_what_came_in_time(
    hosts: dict[str, list[int]], data: st.DataObject
) -> None:
    """Lines arrive at most HOLD_S after they were written, in the order of each host."""
    waiting, shown, arrivals = logs.Waiting(), list[dict[str, Any]](), list[tuple[float, str, dict[str, Any]]]()
    for host, lines in labelled(hosts).items():
        waiting.take(host, [], now=0.0)
        behind = 0.0
        for each in lines:
            behind = max(behind, each["at"] + data.draw(st.floats(0, logs.HOLD_S * 0.9)))
            arrivals.append((behind, host, each))
    for now, host, each in sorted(arrivals, key=lambda arrival: arrival[0]):
        shown += waiting.due(now=now)
        waiting.take(host, [each], now=now)
    shown += waiting.due(now=100.0, last=True)
    assert sorted(each["message"] for each in shown) == sorted(
        each["message"] for lines in labelled(hosts).values() for each in lines
    )
    assert [each["at"] for each in shown] == sorted(each["at"] for each in shown)


def test_one_host_alone_waits_for_nobody() -> None:
    waiting = logs.Waiting()
    waiting.take("a1", [line(1)], now=5.0)
    assert len(waiting.due(now=5.0)) == 1
    assert waiting.due(now=9.0) == []


@pytest.mark.parametrize(
    "text", ["TASK [logs : Read]", "ferryman-logs {", "ferryman-logs []", 'ferryman-logs {"host": 1}']
)
def test_other_lines_of_ansible_are_no_answers(text: str) -> None:
    assert logs.answer(text) is None


# Showing


def shown(lines: Sequence[dict[str, Any]], *, terminal: bool = False, as_json: bool = False) -> str:
    out = io.StringIO()
    out.isatty = lambda: terminal  # type: ignore[method-assign]  # a stream that says that it is a terminal
    logs_telling.print_lines([{**each, "host": "web1"} for each in lines], out, as_json=as_json)
    return out.getvalue()


def test_people_read_time_host_whose_release_level_message_and_fields() -> None:
    assert shown([line(1, message="saved", fields={"took_s": 3, "none": None}, request_id="r-1")]) == (
        "2026-11-22T10:30:00.123Z web1 shop-web 1a2b3c4 info     saved took_s=3 [r-1]\n"
    )


def test_colours_are_for_a_terminal_whose_owner_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\033[31m" in shown([line(1, level="error")], terminal=True)
    for unable in ("dumb", "unknown", ""):
        monkeypatch.setenv("TERM", unable)
        assert "\033" not in shown([line(1, level="error")], terminal=True)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\033" not in shown([line(1, level="error")])
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in shown([line(1, level="error")], terminal=True)


@given(st.text())
def test_no_line_moves_the_cursor(text: str) -> None:
    told = shown([line(1, message=text, request_id=text)])
    assert not [sign for sign in told if (ord(sign) < 32 and sign != "\n") or 127 <= ord(sign) < 160]


def test_a_line_for_programs_is_an_object_with_all_of_it() -> None:
    given_ = line(1, message="zwölf\n", fields={"a": [1]})
    assert json.loads(shown([given_], as_json=True)) == {**given_, "host": "web1"}


KNOWN = {
    "processes": ["database", "entry", "system", "web", "worker"],
    "releases": ["20261126T100000Z-bbbbbbb", "20261125T100000Z-aaaaaaa"],
}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({}, []),
        ({"process": "web", "release": "20261125"}, []),
        ({"process": "entry"}, []),
        ({"process": "wroker"}, ["--process: nothing is called 'wroker', only database, entry, system, web, worker"]),
        ({"release": "2027"}, ["--release: no release that ran is called '2027'; the newest are"]),
        ({"process": "x", "release": "2027"}, ["--process: ", "--release: "]),
    ],
)
def test_a_name_that_no_line_can_have_is_told_with_those_that_there_are(words: dict[str, str], told: list[str]) -> None:
    found = logs.unknown(words, KNOWN)
    assert [line[: len(start)] for line, start in zip(found, told, strict=True)] == told


def test_where_nothing_ever_ran_that_is_said() -> None:
    (told,) = logs.unknown({"release": "2027"}, {"processes": [], "releases": []})
    assert told.endswith("none ever ran there")
