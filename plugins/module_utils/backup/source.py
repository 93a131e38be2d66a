"""A host whose files are taken: its settings, what it remembers of the last time, and one backup of them."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import cache_take, space, ssh, tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import (
    METRICS,
    NAME,
    SETTINGS,
    Archive,
    replace,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

PROGRAM = "/usr/local/lib/ferryman/backup-source"
KEYS = ("append", "room")  # what each of the SSH keys may do at the archive
STATE = "/var/lib/ferryman/backup"
OWN_BYTES = 16 * 2**20  # what a run writes here beside the lines below
NOT_TEXT = re.compile("[\udc80-\udcff]")  # a byte that is no UTF-8, as Python has it in a name; borg says `?`
A_FILE = 500  # bytes that borg and we remember of a file


class Source(Archive):
    """The files of a host in the archive `name`; `settings` are those of its file (role backup writes it).

    Its `path` is where it keeps what it remembers, and what became of restores.
    """

    def __init__(self, name: str, told: Record | None = None, known: str = "") -> None:
        """Take the settings that are written, or those that are `told`, with keys of the archive's host in `known`."""
        if not NAME.fullmatch(name):
            raise Trouble(f"{name!r} is no name of an archive: take that of an environment")
        self.name, self.secrets, self.path = name, secrets(name), f"{STATE}/{name}"
        self.known = known or f"{self.secrets}/known_hosts"
        self.metrics = f"{METRICS}/backup-{name}-source.prom"
        if told is not None:
            self.settings = told
            return
        try:
            with open(settings(name), encoding="utf-8") as file:
                self.settings = of.read(file.read(), file.name)
        except FileNotFoundError:
            raise Trouble(f"this host gives nothing to an archive {name!r}: provision it") from None

    def roots(self, kind: str) -> list[str]:
        """Return the directories of a set."""
        if kind not in self.settings["sets"]:
            known = ", ".join(self.settings["sets"])
            raise Trouble(f"this host gives no {kind!r} to the archive {self.name}: take one of {known}")
        return list(self.settings["sets"][kind])

    def ssh(self, key: str) -> str:
        return ssh.words(f"{self.secrets}/{key}", self.known, self.settings["port"])

    def engine(self, kind: str) -> borg.Borg:
        told = self.settings
        repository = f"ssh://{told['user']}@{told['address']}:{told['port']}{told['path']}/{self.name}/{kind}"
        place = borg.Place(repository, f"{self.secrets}/passphrase", f"{self.path}/borg", "root", self.ssh("append"))
        return borg.Borg(place, kind)

    def require_opening(self, passphrase: str) -> None:
        """Refuse a passphrase that does not open what is there."""
        self.there()
        shut = [kind for kind in self.settings["sets"] if not borg.opens(self.engine(kind).place, passphrase)]
        if shut:
            raise Trouble(
                f"backup_passphrase does not open the repositories of {', '.join(shut)}, so nothing was written: "
                "take the one of the paper copy of the keys"
            )

    # Room, asked before anything is written

    def there(self) -> space.Room:
        """Return what is free on the archive's disk, which a key of its own may ask and nothing else."""
        told = self.settings
        words = [*self.ssh("room").split(), f"{told['user']}@{told['address']}", "room"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found = re.fullmatch(r"(\d+) (\d+) (\d+)\s*", done.stdout)
        if done.returncode == 255 or not found:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise Trouble(f"the archive's host {told['address']} does not answer: {lines[-1]}")
        free, total, block = map(int, found.groups())
        return space.Room(free * block, total * block)

    def require_room(self, new_bytes: int, files: int) -> None:
        """Refuse before anything is written where a disk, there or here, would not keep free what must stay free."""
        need = space.need(new_bytes, None)
        there = space.judge(need, self.there(), self.settings["keep_free_bytes"], "the archive's disk")
        here = space.judge(OWN_BYTES + files * A_FILE, self.room(), 0, self.path)
        short = [verdict.said for verdict in (there, here) if not verdict.enough]
        if short:
            raise Trouble(f"{'; '.join(short)}; nothing was overwritten, nothing was pruned: make room, and try again")

    # What is remembered

    def remembered(self, kind: str) -> dict[str, tree.Seen]:
        """Return what is known of files that were read before; whatever is wrong with that, they are read again."""
        try:
            with open(f"{self.path}/{kind}.seen.json", encoding="utf-8") as file:
                return {line[0]: tree.Seen._make(line[1:]) for line in json.load(file)}
        except (OSError, ValueError, TypeError, LookupError):
            return {}

    def remember(self, kind: str, lines: str) -> None:
        """Keep what `remembered` reads the next time: files that were read, as `_lines` writes them."""
        replace(f"{self.path}/{kind}.seen.json", lines, 0o600)

    def last(self, kind: str) -> dict[str, Any]:
        """Return how the last run of a set was: what was taken, and what failed; empty before the first."""
        try:
            with open(f"{self.path}/{kind}.last.json", encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError):
            return {}

    def note(self, record: Record, files: dict[str, Any]) -> None:
        """Remember how a run was, and tell those who watch."""
        taken, kind = of.is_whole(record), record["set"]
        told: dict[str, Any] = (
            {"files": {root: one["files"] for root, one in files.items()}} if taken else self.last(kind)
        )
        told["taken_at" if taken else "failed_at"] = of.moment(record["ended_at"])
        replace(f"{self.path}/{kind}.last.json", json.dumps(told))
        os.makedirs(os.path.dirname(self.metrics), mode=0o755, exist_ok=True)
        runs = {each: self.last(each) for each in self.settings["sets"]}
        replace(self.metrics, metrics(self.name, runs))


def settings(name: str) -> str:
    """Return the path of a source's settings."""
    return f"{SETTINGS}/{name}.source.json"


def secrets(name: str) -> str:
    """Return the directory of a source's keys."""
    return f"{SETTINGS}/{name}.source"


def said(error: Exception) -> str:
    """Return an error as a sentence."""
    return f"{error.filename or 'a file'}: {error.strerror}" if isinstance(error, OSError) else str(error)


def metrics(name: str, last: dict[str, dict[str, Any]]) -> str:
    """Return the state of a source in the text format of Prometheus; what never was has no line."""
    lines = []
    for key, what, about in (("taken_at", "success", "was sent"), ("failed_at", "failure", "failed")):
        known = [(kind, told[key]) for kind, told in last.items() if key in told]
        metric = f"ferryman_backup_source_last_{what}_timestamp_seconds"
        if known:
            lines += [f"# HELP {metric} When a backup of this host last {about}.", f"# TYPE {metric} gauge"]
            lines += [f'{metric}{{archive="{name}",set="{kind}"}} {moment:.0f}' for kind, moment in known]
    return "".join(f"{line}\n" for line in lines)


# One backup


def take(own: Source, kind: str, run: str, release: dict[str, str]) -> Record:
    """Take a backup of a set, and send it with its record and manifest; one that failed is told, too, if it can be."""
    works, began = own.engine(kind), time.time()
    record: Record = {
        "format": of.FORMAT, "id": of.name(kind, began), "set": kind, "environment": own.name, "engine": "borg",
        "engine_id": "", "engine_facts": {}, "source": {"host": own.settings["host"]}, "run": run,
        "began_at": of.said(began), "ended_at": "", "duration_s": 0.0, "bytes": 0, "result": "failed", "reason": "",
        "point": None, "manifest": "", "release": release, "held_until": "", "check": None,
    }  # fmt: skip
    with own.alone(kind), uncollected():
        manifest: Record = {"files": {}}
        try:
            manifest = _sent(own, works, record)
            record["result"] = "taken"
        except (Trouble, OSError) as error:
            record["reason"] = said(error)
        record["ended_at"], record["duration_s"] = of.said(time.time()), round(time.time() - began, 3)
        text = of.written(manifest) if of.is_whole(record) else ""
        record["manifest"] = hashlib.sha256(text.encode()).hexdigest() if text else ""
        try:
            works.tell(record, text)
        except Trouble as trouble:
            record["result"] = "failed"
            record["reason"] = record["reason"] or str(trouble)
        own.note(record, manifest["files"])
        of.outlast(began)
    return record


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage: of a million small things that stay, each search costs more than it finds."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _sent(own: Source, works: borg.Borg, record: Record) -> Record:
    """Send the files of a set; return the manifest of what arrived, with the record filled in."""
    kind, roots = record["set"], own.roots(record["set"])
    with _prepared(kind, roots) as prepared:
        return {**_read_and_sent(own, works, record, roots), **prepared}


def _prepared(kind: str, roots: list[str]) -> AbstractContextManager[Record]:
    """Have what is to be sent in its directory; give what the manifest says of it beside its files."""
    return cache_take.snapshot(roots[0]) if kind == "cache" else contextlib.nullcontext({})


def _read_and_sent(own: Source, works: borg.Borg, record: Record, roots: list[str]) -> Record:
    kind, before = record["set"], own.remembered(record["set"])
    seen = look(roots, before, own.settings["left_out"])
    require_sources(roots, seen, own.last(kind).get("files", {}))
    new = [path for path, one in seen.items() if before.get(path) is not one]
    own.require_room(sum(seen[path].size for path in new), len(seen))
    with ThreadPoolExecutor(1) as beside:
        # Nearly always nothing changes while it is sent: what is to be told then is reckoned while borg sends.
        reckoned = beside.submit(_reckoned, roots, seen)
        told = works.create(record["id"], list(seen))
    files, lines = reckoned.result()
    if unsure := _unsure(seen, new, told):
        sure = {path: one for path, one in seen.items() if path not in unsure}
        held = {path: one.held for path, one in sure.items()} | works.contents(record["id"], sorted(unsure))
        files, lines = tree.totals(roots, held.items()), _lines(sure)
    record["engine_id"], record["bytes"] = told["id"], told["bytes"]
    record["engine_facts"] = {"sent_bytes": told["sent_bytes"]}
    own.remember(kind, lines)
    return {"format": of.FORMAT, "id": record["id"], "set": kind, "at": record["began_at"], "exact": True,
            "versions": {}, "release": record["release"], "databases": {}, "files": files}  # fmt: skip


def _unsure(seen: dict[str, tree.Seen], new: list[str], archive: dict[str, Any]) -> set[str]:
    """Return of which paths it is not certain that the archive holds what was read before.

    What borg has as it was has the change time of an earlier backup, so nobody has changed it since it was read here
    either: those are most, and are not looked at once more. Of what became a socket it says nothing, so files are
    counted, and all else is looked at.
    """
    told = archive["told"]
    files = {path for path, one in seen.items() if one.content[0] not in "/-"}
    said_otherwise = {path: NOT_TEXT.sub("?", path) for path in files if not path.isascii() and NOT_TEXT.search(path)}
    doubted = (seen.keys() - files) | ({*new, *told, *said_otherwise} & files)
    if archive["files"] != len(files) - sum(letter == "h" for letter in told.values()):
        doubted = {*seen}
    return {
        path
        for path in doubted
        if told.get(said_otherwise.get(path, path)) in borg.NOT_WHOLE or not tree.is_settled(seen[path], _stamp(path))
    }


def _reckoned(roots: list[str], seen: dict[str, tree.Seen]) -> tuple[dict[str, dict[str, Any]], str]:
    """Return what the manifest says of files if they are as they were read, and what is remembered of them then."""
    return tree.totals(roots, ((path, one.held) for path, one in seen.items())), _lines(seen)


def _lines(seen: dict[str, tree.Seen]) -> str:
    return json.dumps([[path, *one] for path, one in seen.items()])


def look(roots: list[str], before: dict[str, tree.Seen], left_out: list[str]) -> dict[str, tree.Seen]:
    """Read every file of some directories, those that were read before and are untouched not again."""
    seen: dict[str, tree.Seen] = {}
    for root in roots:
        for path, found in tree.walk(root, left_out):
            known = before.get(path)
            if known and tree.is_settled(known, tree.stamp(found)):
                seen[path] = known
                continue
            at_ns = time.time_ns()
            with contextlib.suppress(FileNotFoundError):
                seen[path] = tree.Seen(*tree.read(path, found), *tree.stamp(found), at_ns)
    return seen


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        return tree.stamp(os.lstat(path))
    except OSError:
        return None


def require_sources(roots: list[str], seen: dict[str, tree.Seen], last: dict[str, int]) -> None:
    """Refuse a directory that is not there, or that is empty all at once: its disk may be away."""
    absent = [root for root in roots if root not in seen]
    if absent:
        raise Trouble(f"{', '.join(absent)} is not there: provision this host, or take it out of the set")
    for root in roots:
        inside = any(path != root and path.startswith(root + "/") for path in seen)
        if not inside and last.get(root, 0):
            raise Trouble(
                f"{root} is empty and held {last[root]} files the last time: is its disk there? "
                f"If it is to be empty, put a file into it (`touch {root}/.keep`)"
            )
