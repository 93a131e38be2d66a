"""One reading of a host: every source, filtered, in the order of time, within bounds, without secrets."""

from __future__ import annotations

import glob
import json
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries, files, timeline
from ansible_collections.ferryman.ops.plugins.module_utils.logs.entries import Entry, Wanted
from ansible_collections.ferryman.ops.plugins.module_utils.logs.journal import OWN, Journal
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import UNITS, Site, unit_parts

BYTES_MAX = 400_000  # of one answer: from 700,000 on, ansible-runner empties results
LATE_US = 5_000_000  # workers of nginx write beside each other: so far from its place a line may stand
OTHERS = ("entry", "database", OWN)  # processes that no application starts
LOOK_S = 0.4  # how often a waiting reader looks
Cursor = dict[str, Any]


class Log(NamedTuple):
    """A log file: whose it is, and how its lines are read; `is_first` where an entry may have several."""

    app: str
    process: str
    parse: Callable[[str, str], Optional[Entry]]
    is_first: Optional[Callable[[str], object]] = None

    def entries(self, lines: Iterable[str], *, backwards: bool = False) -> Iterator[Entry]:
        """Return the entries that lines make; a line that was cut off makes none."""
        texts = files.joined(lines, self.is_first, backwards=backwards) if self.is_first else lines
        return (entry for text in texts if (entry := self.parse(text, self.app)))


class Host:
    """What can be read here about `sites` (the name of each on the host: its application)."""

    def __init__(self, sites: Mapping[str, str], entry_path: str, database_path: str) -> None:
        self.journal = Journal(sites)
        self.logs: dict[str, Log] = {}
        for site, app in sites.items():
            self.logs[f"{entry_path}/{site}.access.json"] = Log(app, "entry", self._request(site))
            self.logs[f"{entry_path}/{site}.error.log"] = Log(app, "entry", entries.of_error_log)
        for path in sorted(glob.glob(f"{glob.escape(database_path)}/*.log")):
            self.logs[path] = Log("", "database", entries.of_database, entries.DATABASE.match)
        self.secrets = entries.hidden(_secrets())

    def _request(self, site: str) -> Callable[[str, str], Optional[Entry]]:
        """Return what reads a request of a site; of an application that names no release, slot and time tell it."""

        def parse(text: str, app: str) -> Optional[Entry]:
            entry = entries.of_access_log(text, app)
            if entry and entry["slot"] and not entry["release"]:
                turns = self.journal.turns[site].get(str(entry["slot"]), [])
                entry["release"] = timeline.release_at(turns, int(entry["at"]))
            return entry

        return parse

    # What was

    def newest(self, wanted: Wanted, lines: int) -> dict[str, Any]:
        """Return the newest `lines` in their order, whether there was more, and the cursor from which to follow."""
        cursor: Cursor = {"files": {path: files.mark(path) for path in self.logs}, "journal": ""}
        found: list[Entry] = []
        for source in (
            self._journal(wanted, cursor),
            *(self._file(path, wanted, mark) for path, mark in cursor["files"].items()),
        ):
            found += islice(source, lines + 1)
        # Only where a name may be a wrong one: asking journald for all units takes a moment.
        asks = not found and (wanted.process or wanted.release)
        # Backwards as they were read: of what came at one moment, the first stays the first.
        told = self._answer(found[::-1], lines)
        return {**told, "cursor": cursor, "known": self.known(wanted.app) if asks else {}}

    def known(self, app: str) -> dict[str, list[str]]:
        """Return which processes of an application (of all for an empty word) ever wrote here or have units, and which
        releases its slots held."""
        sites = [site for site, name in self.journal.sites.items() if app in ("", name)]
        units = [path.name for site in sites for path in UNITS.glob(f"{site}-*")] + self.journal.units()
        parts = [unit_parts(unit) for unit in units]
        slots = [turns for site in sites for turns in self.journal.turns[site].values()]
        return {
            "processes": sorted({part["process"] for part in parts if part.get("site") in sites}) + list(OTHERS),
            "releases": sorted({release for turns in slots for _, release in turns}),
        }

    def _journal(self, wanted: Wanted, cursor: Cursor) -> Iterator[Entry]:
        for place, entry in self.journal.newest(wanted):
            cursor["journal"] = cursor["journal"] or place
            if entry and wanted.takes(entry):
                yield entry

    def _file(self, path: str, wanted: Wanted, until: files.Mark) -> Iterator[Entry]:
        log = self.logs[path]
        if not _may_hold(log, wanted):
            return
        lines = files.backwards(path, before=wanted.since, until=until)
        for entry in log.entries(lines, backwards=True):
            if wanted.since is not None and entry["at"] + LATE_US < wanted.since * 1e6:
                return
            if wanted.takes(entry):
                yield entry

    # What comes

    def after(self, cursor: Cursor, wanted: Wanted, *, wait_s: float, began: float) -> dict[str, Any]:
        """Return what came since a cursor, and the cursor from which to go on; wait for something for so long.

        `began` is when the first reading was done, for a host whose journal had nothing yet.
        """
        until = time.monotonic() + wait_s
        while True:
            found, cursor = self._since(cursor, wanted, began)
            left = until - time.monotonic()
            if found or left <= 0 or _nobody_listens(min(LOOK_S, left)):
                return {**self._answer(found, len(found)), "cursor": cursor}

    def _since(self, cursor: Cursor, wanted: Wanted, began: float) -> tuple[list[Entry], Cursor]:
        found: list[Entry] = []
        now: Cursor = {"files": {}, "journal": cursor["journal"]}
        fresh = wanted if cursor["journal"] else replace(wanted, since=began)
        for place, entry in self.journal.after(cursor["journal"], fresh):
            now["journal"] = place
            found += [entry] if entry and wanted.takes(entry) else []
        for path, log in self.logs.items():
            lines, now["files"][path] = files.forwards(path, cursor["files"].get(path) or {})
            found += [entry for entry in log.entries(lines) if wanted.takes(entry)]
        return found, now

    def _answer(self, found: list[Entry], lines: int) -> dict[str, Any]:
        """Return the newest of what was found, as many as are wanted and fit, in their order, without secrets."""
        ordered = sorted(found, key=lambda entry: int(entry["at"]))
        kept, size = [], 0
        for entry in reversed(ordered[-lines:] if lines else []):
            clean = entries.cut(entries.without(entry, self.secrets))
            size += len(json.dumps(clean))
            if size > BYTES_MAX:
                break
            kept.append(clean)
        return {"lines": kept[::-1], "cut": len(kept) < len(found)}


def _may_hold(log: Log, wanted: Wanted) -> bool:
    """Say whether a log can hold what is wanted."""
    return wanted.app in ("", log.app) and wanted.process in ("", log.process)


def _secrets() -> dict[str, str]:
    """Return what must be in no answer: the secrets that lie on this host, of other environments' sites too."""
    found: dict[str, str] = {}
    for path in glob.glob(str(Site("*").settings / "secrets" / "*")):
        # One that is removed meanwhile has no process any more that would write it.
        with suppress(FileNotFoundError), open(path, encoding="utf-8", errors="replace") as stream:
            found[f"{os.path.basename(path)} of {path.split('/')[-3]}"] = stream.read()
    return found


def _nobody_listens(timeout_s: float) -> bool:
    """Wait for a while; return True at once when whoever asked is gone, so that no reader outlives its session."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(timeout_s * 1000))


def checked(wanted: Wanted, sites: Mapping[str, str]) -> Optional[str]:
    """Return what is wrong with the wishes; nothing where they can be met."""
    if wanted.app and wanted.app not in sites.values():
        return f"no application {wanted.app!r} here, only {', '.join(sorted(sites.values()))}"
    if wanted.level and wanted.level not in entries.LEVELS:
        return f"level {wanted.level!r} is none of {', '.join(entries.LEVELS)}"
    try:
        re.compile(wanted.grep)
    except re.error as error:
        return f"grep: {wanted.grep!r} is no regular expression: {error}"
    return None
