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

from ferryman import environments, moments, paths, runs, secrets
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, Stop
from ferryman.logs_telling import print_lines

Entry = dict[str, Any]
LEVELS = ("debug", "info", "warning", "error", "critical")
LINES_MAX = 10_000
MARK = "ferryman-logs "  # what the action logs_read prints before each answer while it follows
HOLD_S = 0.5  # for so long a line waits for an older one of another host


def show(env: str, words: Mapping[str, str], *, lines: int, follow: bool, ctx: Any) -> None:
    """Print what is wanted: once, or with `follow` until somebody interrupts it."""
    environment = environments.resolve(env)
    values = asked(words, lines=lines, follow=follow, now=time.time())
    secrets.require(environment)
    if follow:
        follow_on(environment, values, as_json=ctx.ferryman.json)
        return
    told, lost = read(environment, values, lines=lines)
    if lost:
        if not ctx.ferryman.json:
            print_lines(told["lines"], sys.stdout)
        hint = "the lines of the other hosts are complete" if told["hosts"] else paths.command("logs --help", "")
        raise Stop("\n".join(lost), hint=hint, code=NEEDS_PERSON if told["hosts"] else REFUSED, facts=told)
    if ctx.ferryman.json:
        print(json.dumps(told, ensure_ascii=False))
        return
    print_lines(told["lines"], sys.stdout)
    if told["cut"]:
        print("older lines are left out: --lines shows more, --since and --until others", file=sys.stderr)
    elif not told["lines"]:
        print("no line is like that", file=sys.stderr)


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


def read(environment: Environment, values: Mapping[str, Any], *, lines: int) -> tuple[dict[str, Any], list[str]]:
    """Return the newest `lines` of all hosts, and a sentence for each host that did not answer."""
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
        raise Stop(
            f"Ansible ended before its first step:\n{ended.said}", hint=paths.command("status", environment.name)
        )
    merged = merge({host: answer["lines"] for host, answer in answers.items()})
    told = {
        "environment": environment.name,
        "lines": merged[-lines:],
        "cut": len(merged) > lines or any(answer["cut"] for answer in answers.values()),
        "hosts": {host: {"lines": len(answer["lines"]), "cut": answer["cut"]} for host, answer in answers.items()},
    }
    return told, lost


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


def follow_on(environment: Environment, values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print lines as they come; Ctrl-C, or a reader that goes away, ends it well."""
    waiting, turn, over = Waiting(), threading.Lock(), threading.Event()
    failure: list[str] = []

    def give(*, last: bool = False) -> None:
        with turn:
            try:
                print_lines(waiting.due(now=time.monotonic(), last=last), sys.stdout, as_json=as_json)
            except BrokenPipeError:
                sys.stdout = None  # nobody reads: Python must not flush it at its end
                over.set()

    def said(line: str) -> None:
        found = answer(line)
        if found:
            with turn:
                if found["cut"] and found["host"] in waiting.hosts:  # at first it only says that there is a past
                    print(f"{found['host']}: some lines are left out, too many came at once", file=sys.stderr)
                waiting.take(found["host"], found["lines"], now=time.monotonic())
            give()

    def listen(event: runs.Event) -> None:
        if event.kind in ("failed", "unreachable"):
            failure.append(f"{event.host} is no longer followed: {event.result.get('msg', '')}".strip())
            print(failure[-1], file=sys.stderr)

    def tick() -> None:
        while not over.wait(HOLD_S / 2):
            give()

    runs.own_processes_only()
    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    with interrupted(over):
        ended = runs.play(
            "logs_read",
            environment,
            values=values,
            listen=listen,
            key=secrets.key_file(environment),
            printed=said,
            stop=over.is_set,
        )
    stopped = over.is_set()
    over.set()
    ticking.join()
    if sys.stdout:
        give(last=True)
    if not stopped:
        raise Stop(
            "\n".join(failure) or f"Ansible ended:\n{ended.said}",
            hint=paths.command("logs", environment.name),
            code=NEEDS_PERSON,
        )


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
