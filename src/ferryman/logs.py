"""Reading the logs of an environment: all of its hosts, merged in the order of time.

What is read, and what is left out, is decided on the hosts (the collection's role `logs`); here it is asked for, merged
and shown.
"""

import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ferryman import moments, paths, readiness, runs, secrets
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, Stop
from ferryman.logs_telling import print_lines
from ferryman.progress import nobody_reads

Entry = dict[str, Any]
Known = dict[str, list[str]]
"""Names of processes and of releases, these the newest first."""
LEVELS = ("debug", "info", "warning", "error", "critical")
LINES_MAX = 10_000
MARK = "ferryman-logs "  # what the action logs_read prints before each answer while it follows
HELP = "`logs --help` tells what can be asked for, `status` what the hosts say"
HOLD_S = 0.5  # for so long a line waits for an older one of another host


def show(env: str, words: Mapping[str, str], *, lines: int, follow: bool, ctx: Any) -> None:
    """Print what is wanted: once, or with `follow` until somebody interrupts it."""
    environment = readiness.looked_at(env, app=words.get("app", ""))
    values = asked(words, lines=lines, follow=follow, now=time.time()) | secrets.stand_ins(environment)
    if follow:
        follow_on(environment, values, as_json=ctx.ferryman.json)
        return
    told, known, lost = read(environment, values, lines=lines)
    if lost:
        if not ctx.ferryman.json:
            print_lines(told["lines"], sys.stdout)
        hint = "the lines of the other hosts are complete" if told["hosts"] else HELP
        raise Stop("\n".join(lost), hint=hint, code=NEEDS_PERSON if told["hosts"] else REFUSED, facts=told)
    if not told["lines"]:
        wrong = unknown(words, known)
        if wrong:
            raise Stop("\n".join(wrong), hint=HELP)
    if ctx.ferryman.json:
        print(json.dumps(told, ensure_ascii=False))
        return
    print_lines(told["lines"], sys.stdout)
    if told["cut"]:
        print("older lines are left out: --lines shows more, --since and --until others", file=sys.stderr)
    elif not told["lines"]:
        plain = "; what names no level counts as info" if words.get("level") else ""
        print(f"no line is like that{plain}", file=sys.stderr)


# What is asked


def asked(words: Mapping[str, str], *, lines: int, follow: bool, now: float) -> dict[str, Any]:
    """Return the role's variables for what was typed; Stop says everything that is wrong with it."""
    values: dict[str, Any] = {f"logs_{name}": word for name, word in words.items() if word}
    wrong: list[Stop] = []
    for name in ("since", "until"):
        if words.get(name):
            try:
                values[f"logs_{name}"] = moments.read(words[name], name, now=now)
            except Stop as stop:
                wrong.append(stop)
    if words.get("level") and words["level"] not in LEVELS:
        wrong.append(Stop(f"--level: {words['level']!r} is no level", hint=f"one of {', '.join(LEVELS)}"))
    try:
        re.compile(words.get("grep", ""))
    except re.error as error:
        wrong.append(
            Stop(
                f"--grep: {words['grep']!r} is no regular expression: {error}",
                hint="a backslash before it takes a sign as it is",
            )
        )
    if not 1 <= lines <= LINES_MAX:
        wrong.append(Stop(f"--lines: {lines} is too few or too many", hint=f"1 to {LINES_MAX}"))
    if follow and words.get("until"):
        wrong.append(Stop("--follow has no end, and --until names one", hint="leave one of them out"))
    if not wrong and values.get("logs_since", 0) > values.get("logs_until", float("inf")):
        wrong.append(Stop("--since is after --until: no line can be like that", hint="change them over"))
    if wrong:
        raise Stop("\n".join(stop.message for stop in wrong), hint="\n  ".join(stop.hint for stop in wrong))
    return {**values, "logs_lines": lines, "logs_follow": follow}


# Reading once


def read(environment: Environment, values: Mapping[str, Any], *, lines: int) -> tuple[dict[str, Any], Known, list[str]]:
    """Return the newest `lines` of all hosts, what the hosts know, and a sentence for each that did not answer."""
    answers: dict[str, Mapping[str, Any]] = {}
    lost: list[str] = []

    def listen(event: runs.Event) -> None:
        if event.kind == "ok" and "cursor" in event.result:
            answers[event.host] = event.result
        elif event.kind in ("failed", "unreachable"):
            word = "cannot be reached" if event.kind == "unreachable" else "cannot be read"
            lost.append(f"{event.host} {word}: {event.result.get('msg', '')}".strip())

    runs.own_processes_only()
    ended = runs.play("logs_read", environment, values=values, listen=listen, key=secrets.key_file(environment))
    if not answers and not lost:
        raise Stop(ended.cause, hint=readiness.unbegun(environment))
    merged = merge({host: answer["lines"] for host, answer in answers.items()})
    told = {
        "environment": environment.name,
        "lines": merged[-lines:],
        "cut": len(merged) > lines or any(answer["cut"] for answer in answers.values()),
        "hosts": {host: {"lines": len(answer["lines"]), "cut": answer["cut"]} for host, answer in answers.items()},
    }
    processes, releases = (
        sorted({name for answer in answers.values() for name in answer["known"].get(kind, [])})
        for kind in ("processes", "releases")
    )
    return told, {"processes": processes, "releases": releases[::-1]}, lost


def unknown(words: Mapping[str, str], known: Known) -> list[str]:
    """Return what was asked for and is nowhere: no line is like that, and none can be."""
    process, release = words.get("process", ""), words.get("release", "")
    wrong = []
    if process and process not in known["processes"]:
        wrong.append(f"--process: nothing is called {process!r}, only {', '.join(known['processes'])}")
    # A commit may be longer than names have it.
    if release and not any(release[:7] in name for name in known["releases"]):
        those = f"the newest are {', '.join(known['releases'][:3])}" if known["releases"] else "none ever ran there"
        wrong.append(f"--release: no release that ran is called {release!r}; {those}")
    return wrong


def merge(answers: Mapping[str, Iterable[Entry]]) -> list[Entry]:
    """Return the lines of all hosts in the order of time, each with its host; equal times keep a host's order."""
    every = [{**line, "host": host} for host in sorted(answers) for line in answers[host]]
    return sorted(every, key=lambda line: int(line["at"]))


# Following


class Waiting:
    """Lines that wait for older ones of other hosts; pure but for what it holds, time is passed in."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.held: list[tuple[float, Entry]] = []

    def take(self, host: str, lines: Iterable[Entry], *, now: float) -> None:
        """Take in what a host answered."""
        self.hosts.add(host)
        self.held += [(now, {**line, "host": host}) for line in lines]

    def due(self, *, now: float, last: bool = False) -> list[Entry]:
        """Return what has waited long enough, in the order of time, and let go of it; at the end, everything."""
        hold = 0.0 if last or len(self.hosts) == 1 else HOLD_S
        ready = [line for since, line in self.held if now - since >= hold]
        # What is older than something that goes must go before it.
        newest = max((int(line["at"]) for line in ready), default=-1)
        going = [line for _, line in self.held if int(line["at"]) <= newest]
        self.held = [(since, line) for since, line in self.held if int(line["at"]) > newest]
        return sorted(going, key=lambda line: int(line["at"]))


class Following:
    """What is heard while hosts are followed, and printed as it comes."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.waiting = Waiting()
        self.over = threading.Event()
        self.failures: list[str] = []
        self.turn = threading.Lock()

    def said(self, line: str) -> None:
        """Take in what the action prints."""
        found = answer(line)
        if found:
            with self.turn:
                if found["cut"] and found["host"] in self.waiting.hosts:  # at first it only says that there is a past
                    print(f"{found['host']}: some lines are left out, too many came at once", file=sys.stderr)
                self.waiting.take(found["host"], found["lines"], now=time.monotonic())
            self.give()

    def listen(self, event: runs.Event) -> None:
        """Take in how the action ended on a host."""
        if event.kind in ("failed", "unreachable"):
            self.failures.append(f"{event.host} is no longer followed: {event.result.get('msg', '')}".strip())
            if self.waiting.hosts:  # others may go on
                print(self.failures[-1], file=sys.stderr)

    def give(self, *, last: bool = False) -> None:
        """Print what has waited long enough."""
        with self.turn:
            try:
                print_lines(self.waiting.due(now=time.monotonic(), last=last), sys.stdout, as_json=self.as_json)
            except BrokenPipeError:
                nobody_reads(sys.stdout)
                self.over.set()

    def tick(self) -> None:
        """Print what waits although nothing else comes."""
        while not self.over.wait(HOLD_S / 2):
            self.give()


def follow_on(environment: Environment, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print lines as they come; Ctrl-C, or a reader that goes away, ends it well."""
    following, key = Following(as_json=as_json), secrets.key_file(environment)
    over, ticking = following.over, threading.Thread(target=following.tick, daemon=True)
    runs.own_processes_only()
    ticking.start()
    with interrupted(over):
        ended = runs.play(
            "logs_read", environment, values=values, key=key, listen=following.listen, printed=following.said,
            stop=over.is_set,
        )  # fmt: skip
    stopped = over.is_set()
    over.set()
    ticking.join()
    following.give(last=True)
    if stopped:
        return
    if following.waiting.hosts:
        again = paths.command("logs --follow", environment.name)
        raise Stop("no host is followed any more", hint=f"`{again}` begins anew", code=NEEDS_PERSON)
    if not following.failures:
        raise Stop(ended.cause, hint=readiness.unbegun(environment))
    raise Stop("\n".join(following.failures), hint=HELP)


def answer(line: str) -> dict[str, Any] | None:
    """Return what a line of the action says; None for any other line."""
    _, mark, text = line.partition(MARK)
    try:
        found = json.loads(text) if mark else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"host", "lines", "cut"} <= set(found) else None


@contextmanager
def interrupted(over: threading.Event) -> Iterator[None]:
    """Have Ctrl-C and a polite kill end the following, not the program in the middle of a line."""
    before = {number: signal.signal(number, lambda *_: over.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
