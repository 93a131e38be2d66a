"""What people read of a plan: one section after the other, at most 80 columns where names allow it; and its file."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ferryman import paths
from ferryman.errors import Stop
from ferryman.progress import size

Told = Mapping[str, Any]
WIDTH = 80
COMMITS = 10  # of each list, so many are shown; --json has all
FILES = 12
DIFF = 30
MARKS = {"new": "+", "changed": "~", "removed": "-"}
OUT = "--out names the file to write the plan to"


def require_writable(out: Path) -> None:
    """Refuse a file that a plan cannot be written to, before one is made; one that is there is left as it is."""
    if not out.absolute().parent.is_dir():
        raise Stop(f"{out}: its directory does not exist", hint=f"mkdir -p {out.parent}")
    try:
        if out.is_dir():
            raise Stop(f"{out} is a directory", hint=OUT)
        new = not out.exists()
        out.open("a").close()  # only a try tells: a disk may be read-only, and root needs no mode
        if new:
            out.unlink()
    except OSError as error:
        raise _unwritable(out, error) from error


def write(told: Told, out: Path) -> None:
    """Write a plan as JSON; Stop where that fails after all."""
    try:
        out.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:  # the disk may be full by now
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> Stop:
    return Stop(f"{out} cannot be written: {error.strerror}", hint=OUT)


def page(told: Told) -> str:
    """Return a plan as people read it."""
    return laid_out(
        _head(told),
        {
            "Release": _release(told),
            "Files": _files(told),
            "Configuration": _configuration(told),
            "Migrations": _migrations(told),
            "Hosts and steps": _steps(told),
            "Provisioning": _provisioning(told),
        },
    )


def laid_out(head: Iterable[str], sections: Mapping[str, Iterable[str]]) -> str:
    """Return a page: its first lines, then each section under its title."""
    lines = list(head)
    for title, said in sections.items():
        lines += ["", title, *(f"  {line}" for line in said)]
    return "\n".join(line.rstrip() for line in lines)


def _head(told: Told) -> Iterator[str]:
    env, app = told["environment"], told["app"]
    unprovisioned = [host["host"] for host in told["hosts"] if not host["provisioned"]]
    changes = told["change"] or told["provision"]["changes"]
    what = "this is what would change" if changes else "nothing would change"
    what += " by a hotfix" if changes and told.get("hotfix") else ""
    yield f"{app} on {env}: {what}"
    if unprovisioned:
        yield f"never provisioned: {', '.join(unprovisioned)}; first `{paths.command('provision', env)}`"
    for each in told["refused"]:
        yield from wrapped(f"a deploy would be refused now: {each['host']}: {each['reason']}")
        yield from wrapped(f"  {paths.typed(each['hint'])}" if each["hint"] else "")
    for note in told["notes"]:
        yield from wrapped(f"note: {note}")


def _release(told: Told) -> Iterator[str]:
    live, wanted = told["against"], told["wanted"]
    if live["release"]:
        yield f"live    {live['release']} in {live['slot']}"
    else:
        yield "live    nothing yet: it would be the first release"
    ref = "" if wanted["ref"] in ("", "HEAD") or wanted["commit"].startswith(wanted["ref"]) else f" ({wanted['ref']})"
    dirty = " and changes that are in no commit" if wanted["dirty"] else ""
    if not told["change"]:
        yield f"wanted  {wanted['commit'][:7]}{ref}: is live, and all is well"
        return
    yield f"wanted  {wanted['commit'][:7]}{ref}{dirty}, into {wanted['slot']}"
    for host, reason in told["reasons"].items():
        yield from wrapped(f"why     {host}: {reason}")
    commits = told["commits"]
    if not commits["known"]:
        yield f"commits unknown: {live['commit'][:7]}, which is live, is not in this repository"
    elif live["release"] and not commits["added"] and not commits["dropped"]:
        yield "commits none"
    yield from _commits(("comes", "come"), commits["added"])
    yield from _commits(("goes", "go"), commits["dropped"])


def _commits(verb: tuple[str, str], commits: Sequence[Told]) -> Iterator[str]:
    if commits:
        yield f"{count(len(commits), 'commit')} {verb[len(commits) > 1]}:"
    yield from some([f"  {each['commit'][:7]} {each['subject']}" for each in commits], COMMITS)


def files(told: Told) -> Iterator[str]:
    """Return the lines that say which files are added, changed and removed."""
    kinds = {"+": told["added"], "~": told["changed"], "-": told["removed"]}
    if not any(kinds.values()):
        yield "none"
        return
    names = ("added", "changed", "removed")
    yield ", ".join(f"{len(told[kind])} {kind} ({size(sum(e['bytes'] for e in told[kind]))})" for kind in names)
    rows = [f"  {mark} {each['path']}  {size(each['bytes'])}" for mark, listed in kinds.items() for each in listed]
    yield from some(rows, FILES)


def _files(told: Told) -> Iterator[str]:
    yield from files(told["files"])
    needs = told["dependencies"]
    if needs["absent_on"]:
        yield f"a new environment of dependencies ({needs['environment']}) is made on {', '.join(needs['absent_on'])}"
    if needs["to_fetch"]:
        yield "what it depends on is not here yet: a deploy fetches it first"
    elif told["change"]:
        yield f"{size(told['sent_bytes'] or 0)} are sent"


def _configuration(told: Told) -> Iterator[str]:
    if not told["configuration"] and not told["secrets"]:
        yield "the same"
    first = not told["against"]["release"]
    yield from texts(told["configuration"], in_full=not first)
    for name, how in told["secrets"].items():
        yield f"{MARKS[how]} secret {name} ({how})"
    if first and told["change"] and not all(host["provisioned"] for host in told["hosts"]):
        yield "units are known once provisioning has given out ports"


def texts(changes: Iterable[Told], *, in_full: bool = True) -> Iterator[str]:
    """Return the lines that say which texts are new, changed and removed, and `in_full` what differs in each."""
    for each in changes:
        yield f"{MARKS[each['change']]} {each['name']}"
        if in_full:
            yield from some([f"    {line}" for line in each["diff"] if not line.startswith("@@")], DIFF)


def _migrations(told: Told) -> Iterator[str]:
    seen = told["migrations"]
    yield f"{'run' if seen['run'] else 'do not run'}: {seen['why']}"
    if seen["run"]:
        yield f"the schema is at {seen['from']}" if seen["from"] else "no schema revision is known yet"
        yield "a dump is taken first" if seen["dump"] else "no dump is taken: the inventory names no database"
    yield from touched(seen)


def touched(paths_: Told) -> Iterator[str]:
    """Return the lines that name paths, by what became of them."""
    marks = {"added": "+", "changed": "~", "removed": "-"}
    yield from some([f"  {mark} {path}" for kind, mark in marks.items() for path in paths_[kind]], FILES)


def _steps(told: Told) -> Iterator[str]:
    for host in told["hosts"]:
        yield f"{host['host']} ({', '.join(host['roles'])})"
    for number, (hosts, steps) in enumerate(groupby(told["steps"], key=lambda each: each["hosts"]), 1):
        names = ", ".join(each["step"] for each in steps)
        yield from wrapped(f"{number}. {names}: {', '.join(hosts)}")
    if not told["steps"]:
        yield "no step"
    for host, removed in told["pruned"].items():
        yield f"{host} would be rid of"
        yield from some([f"  - {path}" for path in removed], FILES)


def _provisioning(told: Told) -> Iterator[str]:
    changes = told["provision"]["changes"]
    if not changes:
        yield "nothing would change"
    for host, of_host in groupby(sorted(changes, key=lambda each: _place(told, each["host"])), key=lambda e: e["host"]):
        yield host
        for each in of_host:
            yield from wrapped(f"  {each['role'] or 'playbook'}: {each['task'].removeprefix('Main | ')}")
            if each["packages"]:
                yield from wrapped(f"    + {count(len(each['packages']), 'package')}: {' '.join(each['packages'])}")
            rows = {**dict.fromkeys(each["did"], "changed"), **each["paths"]}
            yield from some([f"    {MARKS[how]} {row}" for row, how in rows.items()], FILES)


def _place(told: Told, host: str) -> int:
    """Where a host stands in the inventory; what is provisioned alone comes last."""
    order = [each["host"] for each in told["hosts"]]
    return order.index(host) if host in order else len(order)


# Words


def count(number: int, what: str) -> str:
    """Return a number with what is counted."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def some(lines: Sequence[str], most: int) -> Iterator[str]:
    """Return so many of lines, cut to the screen, and how many there are more."""
    yield from map(_cut, lines[:most])
    if len(lines) > most:
        yield f"    and {len(lines) - most} more (--json has all)"


def _cut(line: str) -> str:
    room = WIDTH - 2
    return line if len(line) <= room else f"{line[: room - 3]}..."


def wrapped(text: str) -> Iterable[str]:
    """Return a text as it fits the screen."""
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    return textwrap.wrap(text, WIDTH - 2, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
