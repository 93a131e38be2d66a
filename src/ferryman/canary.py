"""What people see of a release that is given its clients in stages: under the live line of a terminal, or as lines.

A run tells it in looks, each a line of JSON in a file (the role's `release_progress_file`): stage, share, until when,
the verdict with its sentence and counts, what clients of both releases got since the look before. Nothing is decided.
"""

import json
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ferryman import paths
from ferryman.logs_telling import printable

Look = Mapping[str, Any]
FORMAT = 1
ARMS = ("new", "old")
BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-=+*%#"
EVERY_S = 60.0
"""So often a line is told of a stage in which nothing changes."""
LEAST_ERRORS, LEAST_P95_S = 0.05, 0.5
"""The tops of charts that are all lower (what HEALTH-3 asks for is low in them): what is small is to look small."""
CELLS = 32  # columns of a chart, where there is room
COUNTED_WIDTH = 55  # from here on there is room for counts
WORDS = {"promote": "goes on", "hold": "holds", "rollback": "goes back", "no_data": "no data"}
STYLES = {"promote": "green", "rollback": "red"}


class Looks:
    """The looks in a file, handed on as it grows."""

    def __init__(self, file: Path, hear: Callable[[Look], None]) -> None:
        self.file, self.hear, self.at = file, hear, 0

    def follow(self) -> None:
        """Hand on what came since the last time; half a line waits for its other half."""
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.at)
                whole, end, _ = stream.read().rpartition(b"\n")
        except FileNotFoundError:  # as long as nobody had anything to tell
            return
        self.at += len(whole) + len(end)
        for look in map(json.loads, whole.splitlines()):
            if look.get("format") == FORMAT:
                self.hear(look)


@contextmanager
def followed(hear: Callable[[Look], None]) -> Iterator[Looks]:
    """Give a run a file of its own to tell its looks in; whoever runs it asks again and again to `follow`."""
    with tempfile.TemporaryDirectory(prefix="looks-", dir=paths.state_directory(), ignore_cleanup_errors=True) as place:
        looks = Looks(Path(place) / "looks.jsonl", hear)
        yield looks
        looks.follow()


def ways(env: str, app: str) -> str:
    """Return what somebody types who is asked whether a release goes on."""
    on, back = (paths.command(f"release.{word}", env, app) for word in ("promote", "abort"))
    return f"`{on}` goes on, `{back}` goes back"


def asked(ways: str, left_s: float | None) -> str:
    """Return what somebody is told who must decide, and how long he may take; None where nobody knows."""
    return f"Somebody must decide: {ways}" + ("" if left_s is None else f"; {otherwise(left_s)}")


def otherwise(left_s: float) -> str:
    """Return how long is left for an answer, and what happens without one."""
    return f"{span(left_s)} left, then it goes back"


def answer_left_s(look: Look) -> float | None:
    """Return how long was left for an answer when a look was told, in seconds; None where it does not say so."""
    return look["answer_by"] - look["at"] if "answer_by" in look else None


def is_over(look: Look, now: float) -> bool:
    """Say whether nobody can answer any more what a look asks, at a moment in seconds since 1970."""
    return "answer_by" in look and bool(look["answer_by"] <= now)


# Words for counts


def rate(failed: int, requests: int) -> str:
    """Return a share of requests as people read it; a dash where there were none."""
    if not requests:
        return "-"
    percent = 100 * failed / requests
    return f"{percent:.0f} %" if percent >= 10 or not failed else f"{percent:.1f} %"


def seconds(value: float | None) -> str:
    """Return how long a request took as people read it; a dash where nothing was measured."""
    if not value:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def span(value: float) -> str:
    """Return a time that is left or has passed as people say it."""
    whole = max(round(value), 0)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")


def counts(verdict: Mapping[str, Any]) -> str:
    """Return what clients of both releases got in a stage; of a baseline apart from all others of the old one."""
    told = [
        f"{name}: {arm['failed']:,} of {arm['requests']:,}{' requests failed' if name == 'new' else ''}, "
        f"p95 {seconds(arm['p95_s'])}"
        for name, arm in ((name, verdict["arms"][key]) for key, name in named(verdict).items())
    ]
    return "; ".join(told)


def named(verdict: Mapping[str, Any]) -> dict[str, str]:
    """Return how people call the arms of a verdict."""
    return {"new": "new", "old": "baseline", "rest": "all others"} if verdict.get("baseline") else {a: a for a in ARMS}


# Lines


class Teller:
    """Which looks are told where nobody sees a live line, and in which words."""

    def __init__(self) -> None:
        self.last: Look | None = None

    def line(self, look: Look, ways: str) -> str:
        """Return the line of a look; empty for one that brings no news."""
        if "end" in look or not is_news(look, self.last):
            return ""
        self.last = look
        verdict = look["verdict"]
        what = f"{percent(look['share'])} of the clients, {place(look)}"
        said = f"{what}: {WORDS[verdict['verdict']]}: {verdict['sentence']} ({counts(verdict)})"
        return printable(f"{said} {asked(ways, answer_left_s(look))}" if verdict["ask"] else said)


def is_news(look: Look, told: Look | None) -> bool:
    """Say whether a look is told after the one that was `told` last: a stage, another word or rule, a minute."""
    return told is None or gist(look) != gist(told) or look["at"] - told["at"] >= EVERY_S


def gist(look: Look) -> tuple[Any, ...]:
    """Return what makes one look differ from another in what it decides."""
    verdict = look["verdict"]
    return look["stage"], verdict["verdict"], verdict["rule"], verdict["ask"]


def decided(look: Look) -> str:
    """Return the sentence that ended a stage; empty where it goes on."""
    verdict = look.get("verdict") or {}
    return printable(f"{percent(look['share'])}: {verdict['sentence']}") if verdict.get("verdict") in STYLES else ""


def place(look: Look) -> str:
    """Return which stage a look is of; after the last one all clients have the release, and it is watched."""
    return f"stage {look['stage'] + 1} of {look['of']}" if look["stage"] < look["of"] else "the watch"


def percent(share: float) -> str:
    """Return a share of the clients."""
    return f"{share * 100:.0f} %"


# The live panel


class Panel:
    """How a release does, as it stands below a live line."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.seen = 0.0

    def take(self, look: Look, moment: float) -> None:
        """Take in a look at a moment of the monotonic clock; the last one of a run takes all away."""
        self.seen = moment
        if "end" in look:
            self.clear()
        else:
            self.looks.append(look)

    def clear(self) -> None:
        """Show nothing any more."""
        self.looks.clear()

    def lines(self, moment: float, *, width: int, plain: bool, asked: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return what stands there at a moment of the monotonic clock, line by line with its style; `asked` is last."""
        if not self.looks:
            return []
        last = self.looks[-1]
        left_s = last["until"] - last["at"] - (moment - self.seen)  # by one clock: the other may be a host's
        return panel(self.looks, width=width, left_s=left_s, asked=asked, plain=plain)


def panel(
    looks: Sequence[Look], *, width: int, left_s: float, asked: Sequence[str] = (), plain: bool = False
) -> list[tuple[str, str]]:
    """Return the lines below a live line, each with its style: stage, charts of both releases, the verdict's sentence.

    `looks` are all of the run so far, `left_s` is what is left of the stage's time, `asked` what somebody is asked.
    """
    look = looks[-1]
    verdict = look["verdict"]
    style = "yellow" if verdict["ask"] else STYLES.get(verdict["verdict"], "")
    whose = "All clients have it" if look["share"] >= 1 else f"{percent(look['share'])} of the clients have it"
    left = f"{span(left_s)} left" if left_s > 0 else "its time is over"
    said = [(row, "bold") for row in _rows(f"{whose} ({place(look)}), {left}", width)]
    said += [(row, "") for row in _charts(looks, width, plain)]
    return said + [(row, style) for text in (verdict["sentence"], *asked) for row in _rows(text, width)]


def _rows(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(text), width, break_on_hyphens=False)


def _charts(looks: Sequence[Look], width: int, plain: bool) -> Iterator[str]:
    roomy = width >= COUNTED_WIDTH
    verdict = looks[-1]["verdict"]
    figures = {arm: _figures(verdict["arms"][arm], roomy) for arm in ARMS}
    called = named(verdict)
    names = {arm: f"{called[arm]:<{max(len(called[each]) for each in ARMS)}}" for arm in ARMS}
    room = max(len(text) for pair in figures.values() for text in pair)
    cells = min(max(width - len(f"errors  {names['new']}   ") - room, 1), CELLS)
    parts = slices(looks, cells)
    for at, (name, of, least) in enumerate((("errors", error_rate, LEAST_ERRORS), ("p95", p95, LEAST_P95_S))):
        values = {arm: [of(part, arm) for part in parts] for arm in ARMS}
        top = max([least, *(value for each in values.values() for value in each if value is not None)])
        for arm in ARMS:
            chart = sparkline(values[arm], top, plain=plain)
            yield f"{name if arm == 'new' else '':<6}  {names[arm]} {chart:<{cells}}  {figures[arm][at]}"
    if "rest" in called:
        errors, slowest = _figures(verdict["arms"]["rest"], roomy)
        yield from _rows(f"{called['rest']}: errors {errors}, p95 {slowest}", width)


def _figures(arm: Mapping[str, Any], roomy: bool) -> tuple[str, str]:
    of = f" of {arm['requests']:,}" if roomy and arm["requests"] else ""
    return rate(arm["failed"], arm["requests"]) + of, seconds(arm["p95_s"])


def slices(looks: Sequence[Look], count: int) -> list[Sequence[Look]]:
    """Return looks that follow each other in at most `count` parts, of one length but for the last."""
    size = -(-len(looks) // count)
    return [looks[at : at + size] for at in range(0, len(looks), size)]


def error_rate(part: Sequence[Look], arm: str) -> float | None:
    """Return which share of the requests failed meanwhile; None where there were none."""
    requests = sum(look["lately"][arm]["requests"] for look in part)
    return sum(look["lately"][arm]["failed"] for look in part) / requests if requests else None


def p95(part: Sequence[Look], arm: str) -> float | None:
    """Return the mean of the looks' p95s, each as heavy as its requests; None where nothing was measured."""
    told = [look["lately"][arm] for look in part if look["lately"][arm]["p95_s"] is not None]
    requests = sum(each["requests"] for each in told)
    return sum(each["p95_s"] * each["requests"] for each in told) / requests if requests else None


def sparkline(values: Sequence[float | None], top: float, *, plain: bool) -> str:
    """Return a mark for each value, of eight heights between 0 and `top`; a blank where nothing is known."""
    marks = ASCII if plain else BLOCKS
    return "".join(
        " " if value is None else marks[min(int(value / top * len(marks)), len(marks) - 1)] for value in values
    )
