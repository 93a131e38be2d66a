"""What people see of a release that is given its clients in stages; the looks are those of the real verdict."""

import json
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import canary_looks
from tests.support.terminal import Terminal

from ferryman import canary
from ferryman.outcomes import Story, report
from ferryman.runs import Ended

WAYS = "`./invoke release.promote --env prod` goes on, `./invoke release.abort --env prod` goes back"
HEALTHY, FAILING, SLOW, QUIET, BESIDE = (
    canary_looks.looks(scenario)
    for scenario in (
        canary_looks.HEALTHY,
        canary_looks.FAILING,
        canary_looks.SLOW,
        canary_looks.QUIET,
        canary_looks.BESIDE_BASELINE,
    )
)
RUNS = [
    pytest.param(run, id=name)
    for name, run in zip(
        ("good", "bad", "slow", "quiet", "beside a baseline"), (HEALTHY, FAILING, SLOW, QUIET, BESIDE), strict=True
    )
]
WIDTHS = (65, 35)
"""What terminals of 80 and of 40 columns leave for it."""


def stages(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [look for look in run if "stage" in look]


def told(run: list[dict[str, Any]]) -> list[tuple[float, str]]:
    """Return the lines of a run, each with when it came."""
    teller = canary.Teller()
    return [(look["at"], line) for look in run if (line := teller.line(look, WAYS))]


def shown(run: list[dict[str, Any]], width: int = WIDTHS[0], *, left_s: float = 77, plain: bool = False) -> list[str]:
    return [text for text, _ in canary.panel(stages(run), width=width, left_s=left_s, plain=plain)]


def charts(lines: list[str]) -> list[str]:
    """Return the charts of a panel: errors of new and old, p95 of new and old."""
    first = next(at for at, line in enumerate(lines) if line.startswith("errors"))
    return lines[first : first + 4]


def test_the_worlds_are_what_the_tests_take_them_for() -> None:
    assert [run[-1].get("end") for run in (HEALTHY, FAILING, SLOW, QUIET)] == ["live", "returned", "returned", None]
    assert stages(FAILING)[-1]["stage"] == 1
    assert stages(QUIET)[-1]["verdict"]["ask"]


def test_a_baseline_is_called_so_and_all_others_are_told_apart() -> None:
    arms = stages(BESIDE)[3]["verdict"]["arms"]
    lines = shown(stages(BESIDE)[:4])
    assert "baseline" in charts(lines)[1]
    assert any(line.startswith("all others: errors") and f"{arms['rest']['requests']:,}" in line for line in lines)
    said = canary.counts(stages(BESIDE)[3]["verdict"])
    assert [part.partition(":")[0] for part in said.split("; ")] == ["new", "baseline", "all others"]
    assert "baseline" not in canary.counts(stages(HEALTHY)[3]["verdict"])


# Lines


def test_lines_tell_each_stage_at_its_beginning_and_its_end() -> None:
    lines = [line for _, line in told(HEALTHY)]
    for number, share in ((1, "10"), (2, "25"), (3, "50"), (4, "100")):
        mine = [line for line in lines if line.startswith(f"{share} % of the clients, stage {number} of 4: ")]
        assert "holds" in mine[0] or "no data" in mine[0], mine
        assert "goes on: No worse than the old one" in mine[-1], mine


def test_a_line_of_a_release_that_goes_back_has_the_sentence_and_the_counts_of_both() -> None:
    line, verdict = told(FAILING)[-1][1], stages(FAILING)[-1]["verdict"]
    assert f"goes back: {verdict['sentence']}" in line
    new = verdict["arms"]["new"]
    assert f"new: {new['failed']} of {new['requests']} requests failed, p95" in line


@pytest.mark.parametrize("run", RUNS)
def test_between_two_lines_is_at_most_a_minute_and_none_is_without_news(run: list[dict[str, Any]]) -> None:
    lines = told(run)
    assert lines[0][0] == run[0]["at"]
    times = [*(at for at, _ in lines), stages(run)[-1]["at"]]
    assert all(after - before <= canary.EVERY_S for before, after in pairwise(times))
    looks = {look["at"]: canary.gist(look) for look in stages(run)}
    for (before, _), (after, _) in pairwise(lines):
        assert after - before >= canary.EVERY_S or looks[before] != looks[after]


@pytest.mark.parametrize("run", RUNS)
def test_every_change_of_stage_word_rule_or_question_is_told(run: list[dict[str, Any]]) -> None:
    times = {at for at, _ in told(run)}
    assert all(
        after["at"] in times for before, after in pairwise(stages(run)) if canary.gist(before) != canary.gist(after)
    )


def test_who_is_asked_is_told_what_to_type_and_how_long_he_may_take() -> None:
    asking = [line for _, line in told(QUIET) if "Somebody must decide" in line]
    assert asking[0].endswith(f"Somebody must decide: {WAYS}; 60 min left, then it goes back")
    assert asking[1].endswith(f"Somebody must decide: {WAYS}; 59 min left, then it goes back")
    assert "Somebody must decide" not in told(QUIET)[0][1]


def test_a_look_that_does_not_say_how_long_is_told_without() -> None:
    look = {key: value for key, value in stages(QUIET)[-1].items() if key != "answer_by"}
    assert canary.Teller().line(look, WAYS).endswith(f"Somebody must decide: {WAYS}")


def test_after_the_last_stage_it_is_watched() -> None:
    look = {**stages(HEALTHY)[-1], "of": 3}
    assert "100 % of the clients, the watch: " in canary.Teller().line(look, WAYS)
    assert shown([look])[0] == "All clients have it (the watch), 1 min 17 s left"


def test_what_a_terminal_would_obey_is_told_as_a_question_mark() -> None:
    look = json.loads(json.dumps(stages(FAILING)[-1]))
    look["verdict"]["sentence"] = "login\x1b[2J is bad"
    assert "\x1b" not in canary.Teller().line(look, WAYS) + "".join(shown([look])) + canary.decided(look)


# The panel


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("run", RUNS)
def test_the_panel_fits_at_any_time(run: list[dict[str, Any]], width: int) -> None:
    for end in range(1, len(stages(run)), 40):
        assert max(map(len, shown(stages(run)[:end], width))) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_panel_shows_share_time_left_both_charts_and_the_sentence(width: int) -> None:
    lines = shown(FAILING, width)
    text, verdict = " ".join(lines), stages(FAILING)[-1]["verdict"]
    assert "25 % of the clients have it (stage 2 of 4), 1 min 17 s left" in text
    assert verdict["sentence"] in text
    rows = charts(lines)
    assert [row.split()[:2] for row in rows[::2]] == [["errors", "new"], ["p95", "new"]]
    assert [row.split()[0] for row in rows[1::2]] == ["old", "old"]
    assert "█" in rows[0], "the new one fails most"
    assert "█" not in rows[1]
    assert canary.rate(verdict["arms"]["new"]["failed"], verdict["arms"]["new"]["requests"]) in rows[0]


def test_the_p95_of_a_slow_release_is_higher_than_that_of_the_old_one() -> None:
    new, old = (max(mark for mark in row if mark in canary.BLOCKS) for row in charts(shown(SLOW))[2:])
    assert new == "█"
    assert old < "▅"


def test_a_terminal_that_can_no_more_gets_ascii() -> None:
    assert "".join(shown(FAILING, plain=True)).isascii()


def test_a_stage_whose_time_is_over_says_so() -> None:
    assert "its time is over" in shown(QUIET, left_s=-3)[0]


def test_the_time_that_is_left_is_counted_by_the_drivers_own_clock() -> None:
    panel, look = canary.Panel(), stages(HEALTHY)[3]
    panel.take(look, 1000.0)
    assert f"{canary.span(look['until'] - look['at'] - 30)} left" in panel.lines(1030.0, width=65, plain=False)[0][0]
    panel.take(HEALTHY[-1], 1040.0)
    assert panel.lines(1040.0, width=65, plain=False) == []


@given(st.lists(st.none() | st.floats(0, 1)), st.floats(0.01, 2), st.booleans())
def test_a_chart_has_a_mark_for_each_value_and_a_higher_one_for_a_higher_value(
    values: list[float | None], top: float, plain: bool
) -> None:
    marks = canary.ASCII if plain else canary.BLOCKS
    found = canary.sparkline(values, top, plain=plain)
    assert len(found) == len(values)
    for mark, value in zip(found, values, strict=True):
        assert (mark == " ") == (value is None)
    pairs = sorted((value, marks.index(mark)) for mark, value in zip(found, values, strict=True) if value is not None)
    assert [height for _, height in pairs] == sorted(height for _, height in pairs)


@given(st.integers(1, 500), st.integers(1, 60))
def test_slices_have_every_look_once_in_their_order_and_are_no_more_than_asked_for(length: int, count: int) -> None:
    looks = [{"at": number} for number in range(length)]
    found = canary.slices(looks, count)
    assert [look for part in found for look in part] == looks
    assert len(found) <= count


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (77, "1 min 17 s"), (599.6, "10 min"), (2712, "45 min")],
)
def test_times(seconds: float, said: str) -> None:
    assert canary.span(seconds) == said


@pytest.mark.parametrize(
    ("failed", "requests", "said"), [(0, 0, "-"), (0, 90, "0 %"), (1, 540, "0.2 %"), (9, 55, "16 %"), (55, 55, "100 %")]
)
def test_shares_of_requests(failed: int, requests: int, said: str) -> None:
    assert canary.rate(failed, requests) == said


# What is read, and what is told in JSON


def test_looks_are_handed_on_once_and_whole_as_their_file_grows(tmp_path: Path) -> None:
    heard: list[canary.Look] = []
    looks = canary.Looks(tmp_path / "looks", heard.append)
    looks.follow()
    text = "".join(json.dumps(look) + "\n" for look in FAILING[:3]).encode()
    for end in (10, len(text) - 5, len(text)):
        (tmp_path / "looks").write_bytes(text[:end])
        looks.follow()
    (tmp_path / "looks").write_bytes(text + json.dumps({"format": 2}).encode() + b"\n")
    looks.follow()
    assert heard == FAILING[:3]


def test_the_answer_in_json_has_the_stages_with_their_last_verdict() -> None:
    story = Story()
    assert "canary" not in report("deploy", story, Ended("done", 1.0), environment="prod", app="shop")
    for look in FAILING:
        story.see(look)
    first, second = report("deploy", story, Ended("done", 1.0), environment="prod", app="shop")["canary"]
    assert (first["share"], first["verdict"]["verdict"]) == (0.1, "promote")
    last = stages(FAILING)[-1]
    assert second == {key: last[key] for key in ("stage", "of", "share", "since", "until", "at", "verdict")}
    assert (second["stage"], second["of"], second["share"], second["verdict"]["verdict"]) == (1, 4, 0.25, "rollback")
    assert first["stage"] == 0


# On a terminal

BELL = b"\a"
PLAYED = """
import json, sys, time
from pathlib import Path
from ferryman.progress import progress

seen = progress()
seen.step("release : Send the clients to it")
seen.begun("web1")
for text in Path({looks!r}).read_text().splitlines():
    seen.look(json.loads(text), {ways!r})
    time.sleep(0.005)
    if {pause!r} in text:
        print("paused", file=sys.stderr)
        sys.stdin.readline()
seen.ended("release : Send the clients to it", "web1", "failed")
seen.step("release : Go back")
seen.close()
print("the end")
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    """Plays a run on a terminal, and stops there once somebody has to decide, or has decided."""
    began: list[Terminal] = []

    def play(run: list[dict[str, Any]], *, columns: int, pause: str, **env: str) -> Terminal:
        path = tmp_path / "looks.jsonl"
        path.write_text("".join(json.dumps(look) + "\n" for look in run))
        script = PLAYED.format(looks=str(path), ways=WAYS, pause=pause)
        given = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS", "LINES")}
        began.append(Terminal([sys.executable, "-c", script], Path.cwd(), given | env, rows=30, columns=columns))
        return began[-1]

    yield play
    for each in began:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize("columns", [80, 40])
def test_a_release_that_goes_back_is_seen_on_a_terminal_and_leaves_what_was_decided(
    terminal: Any, columns: int
) -> None:
    shown = terminal(FAILING, columns=columns, pause='"rollback"')
    assert shown.wait_for("paused")
    for part in ("25 % of the clients have it (stage 2 of 4)", "█"):
        assert shown.wait_for(part), "it is drawn a moment after it was told"
    shown.press("\n")
    assert shown.wait() == 0
    lines = [line for line in shown.text().splitlines() if line.strip()]
    left = " ".join(" ".join(lines).split())
    assert "10 %: No worse than the old one" in left
    assert "25 %: The new release fails more" in left
    assert not any(word in left for word in ("█", "clients have it", "errors")), "the panel is gone"
    assert lines[-1] == "the end"


def test_a_terminal_of_ascii_gets_no_other_character(terminal: Any) -> None:
    shown = terminal(FAILING, columns=80, pause='"rollback"', PYTHONIOENCODING="ascii")
    assert shown.wait_for("paused")
    shown.press("\n")
    assert shown.wait() == 0
    assert shown.raw.isascii()


def test_a_terminal_without_keys_tells_whom_it_asks_what_to_type_and_rings_once(terminal: Any) -> None:
    shown = terminal(canary_looks.now(QUIET), columns=40, pause='"ask": true')
    assert shown.wait_for("paused")
    assert shown.wait_for("Somebody must decide")
    assert "`./invoke release.promote --env prod`" in " ".join(shown.text().split())
    assert shown.wait_for("left, then it goes back")
    assert shown.raw.count(BELL) == 1


def test_a_question_whose_time_is_over_is_told_again_without_the_bell(terminal: Any) -> None:
    asks = next(look for look in QUIET if look["verdict"]["ask"])
    other = canary_looks.now([{**asks, "stage": 1}])[0]
    shown = terminal([asks, {**asks, "stage": 2}, other], columns=80, pause='"stage": 1')
    assert shown.wait_for("paused")
    assert shown.wait_for("left, then it goes back")
    assert shown.raw.count(BELL) == 1


@pytest.mark.parametrize(("answer_by", "over"), [(99.0, True), (100.0, True), (101.0, False), (None, False)])
def test_a_question_is_over_once_its_time_is(answer_by: float | None, over: bool) -> None:
    assert canary.is_over({"answer_by": answer_by} if answer_by else {}, 100.0) is over
