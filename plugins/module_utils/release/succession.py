"""Where the host that keeps lock and ledger is gone for good, another one takes over: from copies, by somebody's word.

Every host that a driver has settle a release is given the ledger up to its commit, and keeps a copy of it. Whoever
keeps the ledger must hold the last line of every copy: else it is another host than before, or somebody has changed it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, chain, lock
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, read_json

Line = Mapping[str, Any]
WAY_OUT = (
    "where the host that kept the ledger is gone for good, `unlock --force` has this one take over, with the longest "
    "copy; else say in the inventory who keeps it (the first entry, or lock_host)"
)


def up_to_the_commit(before: Sequence[Line], of_this_run: Sequence[Line]) -> list[Line]:
    """Return the ledger as it was looked at, with what this run has written since; some of its lines may be in both."""
    return [*before, *(line for line in of_this_run if line["seq"] > len(before))]


def keep(host: Host, lines: Sequence[Line]) -> None:
    """Keep what the driver was told of the ledger. What does not follow line by line is not kept, and that is noted."""
    if host.check or not lines:
        return
    wrong = chain.parse(_text(lines)).wrong
    if wrong:  # what went live stays live: whoever keeps the ledger is asked about it by the next run
        host.journal("copy", "failed", reason=wrong)
        return
    _write(host.site.copy, lines)


def copied(host: Host) -> list[dict[str, Any]]:
    """Return this host's copy of the ledger; none where it was damaged."""
    book = chain.read(host.site.copy)
    return [] if book.wrong else book.lines


def last(host: Host) -> dict[str, Any]:
    """Return what is told of this host's copy: `head` and `seq` of its last line; empty where it has none."""
    lines = copied(host)
    return {"head": str(lines[-1]["hash"]), "seq": int(lines[-1]["seq"])} if lines else {}


def lacks(book: Sequence[Line], copies: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the ledger lacks that hosts have copied, or nothing; `copies` is `last` of each, by its name."""
    known = {line.get("hash") for line in book}
    ahead = {name: told for name, told in copies.items() if told and told["head"] not in known}
    if not ahead:
        return ""
    name, told = max(ahead.items(), key=lambda each: int(each[1]["seq"]))
    return f"it does not hold line {told['seq']} ({told['head'][:12]}), of which {name} has a copy"


def longest(copies: Mapping[str, Sequence[Line]], book: Sequence[Line]) -> str:
    """Return who has the copy that is to be taken over: the longest that tells no damage and more than the ledger.

    Of several that are as long the first; nothing where the ledger holds them all.
    """
    known = {line.get("hash") for line in book}
    good = {name: lines for name, lines in copies.items() if lines and not chain.parse(_text(lines)).wrong}
    ahead = {name: len(lines) for name, lines in good.items() if lines[-1]["hash"] not in known}
    return max(ahead, key=lambda name: ahead[name], default="")


def has_taken_over(book: Sequence[Line]) -> bool:
    """Say whether whoever keeps this ledger has taken it over: then it ends what began under another one."""
    return any(line.get("event") == "unlock" and "taken_over" in line for line in book)


def take_over(host: Host, told: Mapping[str, Any], *, who: str, holder: str) -> dict[str, Any]:
    """Keep lock and ledger from now on; return the lock that was broken here, and what was taken over from whom.

    `told`: `token`, the highest that any host has seen; `copies` of the ledger by host. What this host had for a ledger
    is set aside where a copy takes its place. Failed (refused) where a lease runs here of another run than the `holder`
    that is meant.
    """
    place = host.site.arbiter
    with arbiter.alone(host):
        held, book, moment = read_json(place / "lock.json"), chain.read(place / "ledger.jsonl"), now()
        if lock.alive(held, moment) and held["run"] != holder:
            raise Failed(str(lock.Held(held)), hint="type it again: somebody came in between", refused=True)
        source = longest(told["copies"], [] if book.wrong else book.lines)
        taken = {"of": source, "lines": len(told["copies"][source])} if source else {}
        broken = held if held.get("held") else {}
        if host.check:
            return {"broken": broken, "took_over": taken}
        if source:
            _set_aside(place / "ledger.jsonl")
            _write(place / "ledger.jsonl", told["copies"][source])
        fresh = lock.break_(held, moment, by=who, seen=int(told["token"]))
        arbiter.keep(place / "lock.json", fresh)
    host.token = int(fresh["token"])
    host.admit()
    ledger = f"the ledger as {source} has it, {taken['lines']} lines" if taken else "its own ledger"
    reason = f"took over the lock by force, with {ledger}"
    line = arbiter.record(host, event="unlock", who=who, broken=broken.get("run", ""), reason=reason, taken_over=taken)
    _write(host.site.copy, arbiter.lines(host))  # whoever kept it before has no line of this one, and is known by that
    return {"broken": broken, "took_over": taken, "head": line["hash"]}


def _set_aside(path: Path) -> None:
    if path.exists():
        number = len([*path.parent.glob(f"{path.name}.before-*")]) + 1
        path.rename(path.with_name(f"{path.name}.before-{number}"))


def _text(lines: Sequence[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def _write(path: Path, lines: Sequence[Line]) -> None:
    """Not through the host's list of changes: a copy changes nothing that serves."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(_text(lines))
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(path)
