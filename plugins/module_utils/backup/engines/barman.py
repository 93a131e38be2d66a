"""The engine of set `database`: Barman takes, streams and restores; what is kept and what is good is not its matter."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    following,
    incoming,
    manifest,
    pace,
    postgres,
    sealed,
    space,
    streaming,
    timelines,
    wal,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble, stamp
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = "database"  # Barman's name for it, and that of its directory
TRIES = 5
SWITCH_S = 60
PATIENCE_S = 15
FOLLOW_S = 60  # it asks its source for its way, and archives what it had
WAIT_S = 3600
FACTS = ("begin_wal", "end_wal", "begin_lsn", "end_lsn", "timeline")
# How far back a commit that does not show itself yet may be written: it waits for a disk or a standby.
WINDOW = 2


class Barman:
    """Set `database` of an archive."""

    kind = SERVER

    def __init__(self, own: archive.Archive) -> None:
        sealed.require_open(own)
        self.archive = own
        self.conninfo = str(own.settings["database"]["conninfo"])
        self.home = os.path.join(own.path, SERVER)
        self.conf = f"{archive.SETTINGS}/{own.name}.conf"
        # Barman refuses to take a backup where it is told of a second way, and files do not come on that just now.
        self.archiver_conf = f"{archive.SETTINGS}/{own.name}.archiver.conf"
        self.unit = f"ferryman-backup-{own.name}-wal.service"  # the stream

    def call(self, *words: str, conf: str = "") -> str:
        """Run Barman as the archive's owner."""
        try:
            path = program.environment(archive.BARMAN, archive.REQUIREMENTS, "barman")
        except program.NotInstalled as error:
            raise Trouble(str(error)) from None
        return archive.run([path, "-c", conf or self.conf, *words])

    def told(self, *words: str) -> Any:
        return json.loads(self.call("-f", "json", *words))[SERVER]

    # The five verbs

    def size(self) -> int:
        """Return the bytes that a backup of the source takes."""
        return int(postgres.facts(self.conninfo)["bytes"])

    def restored_bytes(self, record: Record) -> int:
        """Return the bytes that a restore of a backup takes here, with the WAL since; the source need not be there."""
        first = wal.number(record["engine_facts"]["begin_wal"])
        since = sum(wal.number(name) >= first for name in streaming.received(self.home))
        return space.need(record["bytes"] + since * wal.SEGMENT, None)

    def take(self, record: Record) -> Record:
        """Take a base backup, and its manifest at a point after it; return the manifest, with the record filled in."""
        self.require_stream()
        self.archive_wal()
        if not streaming.archived(self.home):  # without any, Barman holds the stream for one that was never set up
            self._switch("ferryman-begin")
        source = postgres.facts(self.conninfo)
        settings = self.archive.settings
        held_back = pace.held_back(settings.get("database_rate", pace.AUTO), source["bytes"], settings["every_s"])
        self.call("backup", *held_back, "--wait", "--wait-timeout", str(WAIT_S), "--name", record["id"], SERVER)
        found = self.info(record["id"])
        record["engine_id"], record["bytes"] = found["id"], found["bytes"]
        record["source"] = {"host": self.archive.settings["database"]["host"], "version": source["version"],
                            "number": source["number"], "system": found["system"]}  # fmt: skip
        record["engine_facts"] = found["facts"]
        look, place = self._look(record["id"])
        try:
            held = look.count()
        finally:
            look.end()
        record["point"] = {"name": look.name, "before": place.before, "lsn": look.lsn, "at": look.at,
                           "wal": self._file_of(look.lsn)}  # fmt: skip
        return {"format": 1, "id": record["id"], "set": self.kind, "at": look.at, "exact": place.exact,
                "versions": {"server": source["version"]}, "release": record["release"], "databases": held,
                "files": {}}  # fmt: skip

    def held(self) -> list[dict[str, Any]]:
        """Return every base backup that is there: engine_id, bytes, whether it is whole."""
        found = self.told("list-backups", SERVER)
        return [
            {"engine_id": one["backup_id"], "bytes": one.get("size_bytes", 0), "whole": one["status"] == "DONE"}
            for one in found
        ]

    def check(self, record: Record) -> list[dict[str, str]]:
        """Read all that a restore of a backup would read; return what is not as it was written."""
        found = []
        looks = [("catalogue", self._check_facts), ("base", self._check_base), ("wal", self._check_wal)]
        for what, look in [*looks, (of.BEYOND, self._check_beyond)]:
            try:
                found += [{"what": what, "said": said} for said in look(record)]
            except (Trouble, OSError, KeyError, ValueError) as error:
                found.append({"what": "wal" if what == of.BEYOND else what, "said": f"{error}"})
        return found

    def restore(self, record: Record, to: dict[str, Any], into: str) -> None:
        """Put a backup and all WAL since into an empty directory; the server recovers to `to` when it starts there.

        `to` is what `choosing.choose` gives; with `line` the way goes on from the backup's timeline to that one.
        """
        self.archive_wal()
        self.call("restore", *target(record["point"], to), SERVER, record["engine_id"], into)
        self._bring_partial(into)

    def lies(self, record: Record) -> str:
        """Return where a backup lies: the files that a restore begins with, which nobody changes any more."""
        return f"{self.home}/base/{record['engine_id']}/data"

    def line(self) -> int | None:
        """Return the timeline that was streamed last; None where nobody knows."""
        way = streaming.way(self.home)
        return way.line if way else None

    def refusal(self, record: Record) -> str:
        """Return why a backup does not lead to what was streamed last; empty where it does."""
        way = streaming.way(self.home)
        if way is None:
            return "no WAL was streamed"
        names = streaming.whole_or_coming(self.home)
        return timelines.refusal(record["engine_facts"]["begin_wal"], record["point"]["lsn"], way, names)

    def followed_since(self, line: int) -> float:
        """Return since when (seconds since 1970) the archive follows a timeline."""
        path = streaming.history(self.home, line)
        return os.path.getmtime(path) if os.path.exists(path) else 0.0

    def prune(self, record: Record) -> None:
        """Drop a base backup, and the WAL that nothing left needs."""
        if record.get("engine_id") and record["engine_id"] in [one["engine_id"] for one in self.held()]:
            self.call("delete", SERVER, record["engine_id"])

    def abandon(self, record: Record) -> None:
        """Drop what a backup that failed left behind."""
        for one in self.told("list-backups", SERVER):
            if one.get("backup_name") == record["id"]:
                self.call("delete", SERVER, one["backup_id"])

    # The stream

    def state(self) -> dict[str, Any]:
        """Return how the stream of WAL is, as `streaming.state` has it."""
        return streaming.state(self.conninfo, self.archive.settings["database"]["slot"], self.home)

    def require_stream(self, patience_s: float = PATIENCE_S) -> None:
        """Refuse to begin what would wait for WAL that does not come."""
        until = time.monotonic() + patience_s
        while not self.state()["running"]:  # it may be about to begin anew
            if time.monotonic() < until:
                time.sleep(0.5)
                continue
            raise Trouble(f"the stream of WAL is down: look at `journalctl -u {self.unit}`, then "
                          f"systemctl restart {self.unit}")  # fmt: skip

    def stream(self) -> None:
        """Become the stream: Barman's receiver takes this process's place, and ends where the source does."""
        path = program.installed(archive.BARMAN, archive.REQUIREMENTS, "barman")
        with closing(postgres.Session(f"{self.conninfo} replication=database", "postgres")) as session:
            source = following.ask(session)
            following.require_same(self.archive, self.home, source.system)
            held_from = following.slot(session, self.archive.settings["database"]["slot"])
        aside = os.path.join(self.home, f"streamed-{stamp(time.time())}")
        done = following.put_right(self.home, source, held_from, aside, self.archive_wal)
        for line in filter(None, [done, following.skip(self.home, source, held_from)]):
            print(line, flush=True)  # this process is another's in a moment
        own = ["--reuid", archive.USER, "--regid", archive.USER, "--init-groups"]
        words = ["setpriv", *own, path, "-c", self.conf, "receive-wal", SERVER]
        os.execv("/usr/bin/setpriv", words)  # noqa: S606 -- no shell is wanted

    def begin_anew(self) -> None:
        """Stream from another history of the source: the stream puts itself right as it begins."""
        archive.run(["systemctl", "restart", self.unit], user="root")
        self.require_stream(FOLLOW_S)

    def archive_wal(self) -> None:
        """Move what has come to its place in the archive, while nobody copies that place."""
        with self.archive.alone("wal", wait=True):
            if incoming.here(self.home):
                system = following.known_system(self.home, self.archive.records())
                incoming.set_aside(self.home, system, os.path.join(self.home, f"strange-{stamp(time.time())}"))
            self.call("archive-wal", SERVER, conf=self.archiver_conf if os.path.exists(self.archiver_conf) else "")

    def put_wal(self, *, test: bool) -> None:
        """Become Barman's taker of a file of WAL on standard input, as whoever runs this; or only see that it would."""
        path = program.installed(archive.BARMAN, archive.REQUIREMENTS, "barman")
        words = [path, "-c", self.conf, "put-wal", *(["--test"] if test else []), SERVER]
        os.execv(path, words)  # noqa: S606 -- no shell is wanted

    # Inside

    def info(self, which: str) -> dict[str, Any]:
        """Return what Barman says of a backup, by its id or name."""
        told = self.told("show-backup", SERVER, which)
        base = told["base_backup_information"]
        listed = {key: base.get(key, told.get(key)) for key in FACTS}
        path = f"{self.home}/base/{told['backup_id']}/data/backup_manifest"
        with open(path, "rb") as file:
            listed["manifest"] = hashlib.sha256(file.read()).hexdigest()
        return {
            "id": told["backup_id"],
            "bytes": base["backup_size_bytes"],
            "system": told["system_id"],
            "facts": listed,
        }

    def _look(self, name: str) -> tuple[postgres.Look, manifest.Point]:
        """Return open snapshots that are one place of the WAL, and that place; after some tries the last, inexact."""
        for number in range(TRIES):
            look = postgres.Look(self.conninfo, f"ferryman-{name}-{number}")
            try:
                look.begin()
                self._switch()
                seen = [manifest.snapshot(text) for text in look.snapshots.values()]
                place = manifest.place(seen, self._commits(look.lsn))
            except BaseException:
                look.end()
                raise
            if place.exact or number == TRIES - 1:
                return look, place
            look.end()
        raise AssertionError("the last try returns")

    def _switch(self, point: str = "") -> None:
        """Have the file of WAL that is being written ended and archived; `point` is written into it first.

        Barman archives what the stream has ended once the next file has begun, and where nobody writes that is up to
        15 s later: the commit of an empty transaction begins it now.
        """
        with closing(postgres.Session(self.conninfo, "postgres")) as session:
            session.ask("set synchronous_commit = local")  # who waits for the archive here would wait for itself
            if point:
                session.ask(f"select pg_create_restore_point('{point}')")
            ended = session.ask("select pg_walfile_name(pg_current_wal_insert_lsn())")
            session.ask("select txid_current(), pg_switch_wal()")
        until = time.monotonic() + SWITCH_S
        while not any(wal.follows(name, ended) for name in streaming.received(self.home)):
            if time.monotonic() > until:
                raise Trouble(
                    f"the file {ended} of WAL did not come in {SWITCH_S} s: look at `journalctl -u {self.unit}`"
                )
            time.sleep(0.1)
        self.archive_wal()

    def _file_of(self, lsn: str) -> str:
        with closing(postgres.Session(self.conninfo, "postgres")) as session:
            return session.ask(f"select pg_walfile_name('{lsn}')")

    def _commits(self, lsn: str) -> list[int]:
        last = self._file_of(lsn)
        line = wal.timeline(last)
        names = [wal.name(line, number) for number in range(max(0, wal.number(last) - WINDOW), wal.number(last) + 1)]
        with self._files([name for name in names if name in streaming.received(self.home)]) as directory:
            first = min(os.listdir(directory))
            start = wal.written(wal.number(first) * wal.SEGMENT)
            return wal.commits(self._dump(directory, line, start, lsn, "-r", "Transaction"))

    @contextmanager
    def _files(self, names: list[str]) -> Iterator[str]:
        """Have files of WAL side by side, as PostgreSQL's programs want them."""
        received = streaming.received(self.home)
        with tempfile.TemporaryDirectory(prefix="ferryman-wal-") as directory:
            os.chmod(directory, 0o755)  # noqa: S103 -- who reads it is not root; it holds links alone
            for name in names:
                os.symlink(received[name], os.path.join(directory, name))
            yield directory

    def _dump(self, directory: str, line: int, start: str, end: str, *words: str) -> str:
        path = self.archive.settings["database"]["programs"]
        return archive.run([f"{path}/pg_waldump", "-p", directory, "-t", str(line), "-s", start, "-e", end, *words])

    def _check_facts(self, record: Record) -> list[str]:
        """The catalogue and Barman must tell of the same backup: one that was put in another's place is none."""
        found = self.info(record["engine_id"])
        told = [
            f"{key} is {found['facts'][key]} and was {wanted}"
            for key, wanted in record["engine_facts"].items()
            if found["facts"].get(key) != wanted
        ]
        self.archive.manifest(record)
        return told + ([] if found["system"] == record["source"]["system"] else ["it is of another server"])

    def _check_base(self, record: Record) -> list[str]:
        path = f"{self.archive.settings['database']['programs']}/pg_verifybackup"
        archive.run([path, "--quiet", "--no-parse-wal", self.lies(record)])
        return []

    def _check_wal(self, record: Record) -> list[str]:
        first, last = record["engine_facts"]["begin_wal"], record["point"]["wal"]
        there, line = streaming.archived(self.home), wal.timeline(first)
        wanted = [wal.name(line, number) for number in range(wal.number(first), wal.number(last) + 1)]
        absent = [name for name in wanted if name not in there]
        if absent:
            return [f"{len(absent)} files of WAL are missing, the first is {absent[0]}"]
        with self._files(wanted) as directory:
            self._dump(directory, line, record["engine_facts"]["begin_lsn"], record["point"]["lsn"], "--quiet")
        return []

    def _check_beyond(self, record: Record) -> list[str]:
        """Where WAL is missing after its point, a restore gets to that and no further."""
        there = list(streaming.received(self.home))  # one look: a file that is archived between two would be in none
        last = record["point"]["wal"]
        gone = [name for name in wal.missing(there, record["engine_facts"]["begin_wal"]) if wal.follows(name, last)]
        return [f"after its point {len(gone)} files of WAL are missing, the first is {gone[0]}"] if gone else []

    def _bring_partial(self, into: str) -> None:
        """Bring the WAL that has not been archived yet: what was acknowledged last stands in it."""
        for name, path in streaming.waiting(self.home).items():
            there = f"{into}/barman_wal/{name}"
            if os.path.exists(there):
                continue
            if os.path.exists(path) and os.path.getsize(path) != wal.SEGMENT:  # it begins now: PostgreSQL refuses it
                continue
            try:
                shutil.copyfile(path, there)
            except FileNotFoundError:  # it was archived meanwhile
                shutil.copyfile(streaming.received(self.home)[name], there)
            shutil.chown(there, archive.USER, archive.USER)


def target(point: dict[str, Any], to: dict[str, Any]) -> list[str]:
    """Return Barman's words for where recovery goes: {point: true}, {time: RFC 3339} or {latest: true}.

    It stays on the backup's own timeline where `to` names no `line`: the newest may be one that was left again, and
    then is no child of it.
    Without any target Barman makes no recovery of it, and the server would go on in the source's own history.
    """
    along = ["--target-tli", str(to.get("line", "current"))]
    if to.get("latest"):
        return along
    if to.get("time"):
        words = ["--target-time", to["time"]]
    elif point["before"] is not None:
        words = ["--target-xid", str(point["before"]), "--exclusive"]
    else:
        words = ["--target-name", point["name"]]
    return [*words, *along, "--target-action", "promote"]
