"""What people see while work goes on: a live line under those that are done on a terminal, plain lines elsewhere.

Always on stderr; stdout is for answers.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ferryman import canary, terminal
from ferryman.decision import Decision

NAMED = 3  # hosts that are named in a line
QUIET = (
    "Validating arguments against arg spec", "Refuse values out of bounds", "See who has a reason for it",
    "Go through the steps", "Say why",
)  # fmt: skip
"""Steps that only lead to others or repeat what is said at the end."""
ECHO = 3  # columns kept free at the end of the live line, where a terminal shows that Ctrl-C was pressed


def nobody_reads(stream: Any) -> None:
    """Let a stream whose reader has gone lead nowhere: Python would stumble over it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Part(NamedTuple):
    """A part of a step as a host told it: its name, how long it took, how much was sent, and what else is to say."""

    name: str
    seconds: float
    sent_bytes: int = 0
    note: str = ""

    def __str__(self) -> str:
        sent = f"{size(self.sent_bytes)} sent" if self.sent_bytes else ""
        return ", ".join(filter(None, (f"{self.name} {self.seconds:.1f} s", sent, self.note)))


class Progress(Protocol):
    """Somebody who is told what goes on."""

    def step(self, name: str) -> None:
        """A step begins."""

    def begun(self, host: str) -> None:
        """The step that was begun last is now done on a host too."""

    def ended(self, name: str, host: str, result: str, parts: Sequence[Part] = ()) -> None:
        """A step ended on a host, which told its parts."""

    def note(self, text: str) -> None:
        """Something that people should read now."""

    def look(self, look: canary.Look, ways: str) -> None:
        """How a release does that has a share of the clients; `ways` is what to type where somebody is asked."""

    def close(self) -> None:
        """Nothing more comes."""


def progress(*, asks: bool = False, decision: Decision | None = None) -> Progress:
    """Return a live list where somebody looks on, on a terminal that can move its cursor; else plain lines.

    Of a run that only `asks` (in check mode) no step looks as if something had been done. A `decision` that keys can
    answer is shown with them.
    """
    return Live(asks=asks, decision=decision) if terminal.able(sys.stderr) else Lines(asks=asks)


def is_quiet(name: str) -> bool:
    """Say whether a step is none of people's business."""
    return not name or any(quiet in name for quiet in QUIET)


def short(name: str) -> str:
    """Return a task's name without its file, after that of its role: "Install" alone could be anybody's.

    The steps of a release are what every deploy consists of: they need no such word.
    """
    role, _, task = name.rpartition(" : ")
    role, task = role.rpartition(".")[2], task.rpartition(" | ")[2]
    return task if role in ("", "release") else f"{role}: {task}"


def named(hosts: Iterable[str]) -> str:
    """Return hosts as they stand behind a step: all of few, some of many."""
    names = list(hosts)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" ({', '.join(names[:NAMED])}{more})" if names else ""


def size(count: int) -> str:
    """Return bytes as people read them."""
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= of:
            return f"{count / of:.1f} {unit}"
    return f"{count} B"


def parts(told: Mapping[str, Any]) -> list[Part]:
    """Return the parts of a step from a host's answer; those that passed a gate say how."""
    passed = [str(each["reason"]) for each in told.get("gate") or []]
    gate = max(passed, key=len) if passed else ""
    return [
        Part(step["step"], float(step["seconds"]), int(step.get("sent_bytes", 0)), gate * (step["step"] == "start"))
        for step in told.get("steps") or []
    ]


def together(answers: Iterable[Sequence[Part]]) -> list[Part]:
    """Return the parts of a step over all its hosts: each takes as long as on the slowest, and sends what all got."""
    found: dict[str, Part] = {}
    for part in (part for answer in answers for part in answer):
        before = found.get(part.name, Part(part.name, 0.0))
        slower = max(before, part, key=lambda each: each.seconds)
        found[part.name] = slower._replace(sent_bytes=before.sent_bytes + part.sent_bytes)
    return list(found.values())


@dataclass
class Step:
    """A step: since when, on which hosts it still runs and ran, how it ended there and what they told of it."""

    name: str = ""
    since: float = 0.0
    state: str = "skipped"
    running: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    answers: list[Sequence[Part]] = field(default_factory=list)

    def ended(self, host: str, result: str, told: Sequence[Part]) -> None:
        """Take in the end on a host; one that skips it has nothing to do with it."""
        self.running = [each for each in self.running if each != host]
        if result != "skipped":
            self.ran.append(host)
            self.answers.append(told)
            self.state = result if result != "ok" or self.state == "skipped" else self.state

    @property
    def parts(self) -> str:
        """What the hosts told, in one line; nothing where that is no more than the step itself."""
        told = together(self.answers)
        worth = len(told) > 1 or any(part.sent_bytes or part.note for part in told)
        return "; ".join(map(str, told)) if worth else ""


class Lines:
    """One line for each step, with the seconds since the beginning and the hosts: for pipelines and logs.

    A step that every host skips is over in a moment and is not told: each waits a moment, or for its first result.
    """

    MOMENT_S = 0.1

    def __init__(self, *, asks: bool = False) -> None:
        self.began = time.monotonic()
        self.before = "check: " if asks else ""
        self.waiting: threading.Timer | None = None
        self.now = Step()
        self.told = True
        self.turn = threading.Lock()
        self.teller = canary.Teller()

    def step(self, name: str) -> None:
        self._finish()
        with self.turn:
            self.now, self.told = Step(short(name)), is_quiet(name)
        self._wait()

    def _wait(self) -> None:
        if not self.told:
            self.waiting = threading.Timer(self.MOMENT_S, self._begin, [self.now])
            self.waiting.daemon = True
            self.waiting.start()

    def _drop(self) -> None:
        if self.waiting:
            self.waiting.cancel()
            self.waiting = None

    def _begin(self, step: Step) -> None:
        with self.turn:  # a timer that was too late to be stopped is of a step before this one
            if step is self.now and not self.told:
                self.told = True
                self.note(self.before + step.name + named([*step.ran, *step.running]))

    def _finish(self) -> None:
        self._drop()
        if self.now.parts:
            self.note(f"{self.now.name}: {self.now.parts}")

    def note(self, text: str) -> None:
        try:
            print(f"[{time.monotonic() - self.began:7.1f} s] {text}", file=sys.stderr, flush=True)
        except BrokenPipeError:  # whoever looked on has left; what goes on is not theirs to end
            nobody_reads(sys.stderr)

    def look(self, look: canary.Look, ways: str) -> None:
        if line := self.teller.line(look, ways):
            self.note(line)

    def begun(self, host: str) -> None:
        self.now.running.append(host)

    def ended(self, name: str, host: str, result: str, parts: Sequence[Part] = ()) -> None:
        self._drop()
        if result != "skipped":
            self._begin(self.now)
        self.now.ended(host, result, parts)
        if result not in ("ok", "skipped") and not is_quiet(name):
            self.note(f"{short(name)}: {result} on {host}")
        if self.now.running:  # where others are at work, a step that one host skips is told all the same
            self._wait()

    def close(self) -> None:
        self._finish()
        self.now = Step()


class Live:
    """A line for each step that is done, in the terminal's own scrolling, and under them the one that runs.

    No line that is taken back is as wide as the terminal: one that a resize wraps could not be.
    """

    REDRAWN = 8  # times a second
    INDENT, NARROW = 12, 60  # columns before what belongs to a step; on a screen that is narrower, two

    def __init__(self, *, asks: bool = False, decision: Decision | None = None) -> None:
        from rich.spinner import Spinner

        from ferryman.live_line import LiveLine, Turns

        self.began = time.monotonic()
        self.now = Step()
        self.panel = canary.Panel()
        self.decision = decision or Decision()
        self.ways = ""
        self.console = Turns(stderr=True, highlight=False)
        self.plain = self.console.options.ascii_only
        good = ("?", "?") if asks else ("+", "✓")
        self.good, self.bad = (good[0], "x") if self.plain else (good[1], "✗")
        self.spinner = Spinner("line" if self.plain else "dots")
        self.line = LiveLine(self.console, self.draw, self.REDRAWN)

    def draw(self) -> Any:
        """Return the live line: the step, the hosts that it still waits for, its seconds and those of all."""
        from rich.text import Text

        step, moment = self.now, time.monotonic()
        line = Text(end="", no_wrap=True)
        if step.name:
            many = len(step.ran) + len(step.running)
            done = f" {len(step.ran)} of {many} done" if many > NAMED else ""
            line.append(f"{self.spinner.render(moment)}{moment - step.since:7.1f} s  ").append(step.name, "bold")
            whole = f", {moment - self.began:.0f} s in all" if step.since - self.began > 1 else ""
            line.append(f"{done}{named(step.running)}{whole}", "dim")
            line.truncate(max(self.console.width - ECHO, 1), overflow="crop" if self.plain else "ellipsis")
            self._below(line, moment)
        return line

    def _below(self, line: Any, moment: float) -> None:
        """Add how the release does to the live line, where it has a share of the clients."""
        indent = self.INDENT if self.console.width >= self.NARROW else 2
        width = max(self.console.width - ECHO - indent, 1)
        asked = self.decision.lines(moment, ways=self.ways, width=width)
        for text, style in self.panel.lines(moment, width=width, plain=self.plain, asked=asked):
            line.append("\n" + " " * indent).append(text[:width], style)

    def step(self, name: str) -> None:
        self._finish()
        self.panel.clear()
        self.decision.end()
        self.now = Step("" if is_quiet(name) else short(name), time.monotonic())

    def _finish(self) -> None:
        from rich.text import Text

        step, self.now = self.now, Step()
        if not step.name or step.state == "skipped":
            return
        mark = Text(self.good, "green") if step.state == "ok" else Text(self.bad, "red")
        self._row(mark, f"{time.monotonic() - step.since:.1f} s", Text.assemble(step.name, (named(step.ran), "dim")))
        if step.parts:
            self._row(Text(), "", Text(step.parts, "dim"))

    def _row(self, mark: Any, seconds: str, text: Any) -> None:
        from rich.table import Table

        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=1)
        row.add_column(width=7, justify="right")
        row.add_column(overflow="fold")
        row.add_row(mark, seconds, text)
        self.console.print(row)

    def note(self, text: str) -> None:
        from rich.text import Text

        self._row(Text("!", "yellow"), "", Text(text, "yellow"))

    def look(self, look: canary.Look, ways: str) -> None:
        from rich.text import Text

        self.ways = ways
        self.panel.take(look, time.monotonic())
        if self.decision.take(look, time.monotonic()) and not canary.is_over(look, time.time()):
            self.console.bell()  # whoever is asked may look at another window; `attach` tells old questions again
        if said := canary.decided(look):
            good = look["verdict"]["verdict"] == "promote"
            mark = Text(self.good, "green") if good else Text(self.bad, "red")
            self._row(mark, f"{look['verdict']['stage_s']:.1f} s", Text(said))

    def begun(self, host: str) -> None:
        self.now.running.append(host)

    def ended(self, name: str, host: str, result: str, parts: Sequence[Part] = ()) -> None:
        self.now.ended(host, result, parts)

    def close(self) -> None:
        self._finish()
        self.line.close()
