"""The stream follows the history that its source is on: what came of one that was left lies aside."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, postgres, streaming, timelines, wal
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble


class Source(NamedTuple):
    """A server: its system identifier, its way, and up to where its WAL is on its disk (a place in bytes)."""

    system: str
    way: timelines.Way
    flushed: int


def ask(session: postgres.Session) -> Source:
    """Ask a server for its way, on a connection for replication that takes SQL, too.

    Source: PostgreSQL's streaming replication protocol, IDENTIFY_SYSTEM and TIMELINE_HISTORY.
    """
    if session.ask("select pg_is_in_recovery()") == "t":
        raise Trouble("the source still recovers, and has no history of its own yet: wait for its end")
    system, line, place = session.ask("IDENTIFY_SYSTEM").split("|")[:3]
    text = "" if line == "1" else session.ask(f"TIMELINE_HISTORY {line}").partition("|")[2]
    return Source(system, timelines.read(int(line), text), wal.place(place))


def slot(session: postgres.Session, name: str) -> str:
    """Have a slot at the source, and return from which place on it holds WAL; empty where it holds none."""
    status = f"select wal_status from pg_replication_slots where slot_name = '{name}'"  # noqa: S608 -- as below
    if session.ask(status) == "lost":  # it will never hold anything again
        session.ask(f"DROP_REPLICATION_SLOT {name}")
    asked = f"select restart_lsn from pg_replication_slots where slot_name = '{name}'"  # noqa: S608 -- a name that role backup made
    if session.ask(asked.replace("restart_lsn", "count(*)")) == "0":
        session.ask(f"CREATE_REPLICATION_SLOT {name} PHYSICAL RESERVE_WAL")  # the file in which a history begins, too
    return session.ask(asked)


def skip(home: str, source: Source, held_from: str) -> str:
    """Have the receiver begin with the first file of WAL that the source holds, where it would ask for an older one.

    It would be refused for ever, and no backup could end the gap. What is missing then comes beside the stream, or is
    told until the next backup. Return what was done; empty where nothing was to be done.
    """
    come = [wal.number(name) + is_whole for name, is_whole in streaming.whole(streaming.lying(home)).items()]
    held = wal.place(held_from) // wal.SEGMENT if held_from else 0
    if not come or max(come) >= held:
        return ""
    begin = wal.name(timelines.on(held, source.way, source.flushed), held)
    _mark(home, begin)
    return f"the source holds no WAL before {begin}: the stream goes on with that, and some that was to come is missing"


def known_system(home: str, records: list[of.Record]) -> str:
    """Return the system identifier of the server that is archived: Barman's word, else the newest backup's; empty
    where there is neither."""
    try:
        with open(f"{home}/identity.json", encoding="utf-8") as file:
            return str(json.load(file)["systemid"])
    except (FileNotFoundError, ValueError, KeyError):  # a damaged one is no reason to have commits wait
        newest = of.newest(records, "database", of.is_whole)
        return str(newest["source"]["system"]) if newest else ""


def require_same(own: archive.Archive, home: str, system: str) -> None:
    """Refuse another server than the one that is archived here; before the first backup any is the one."""
    known = known_system(home, own.records())
    if known not in ("", system):
        raise Trouble(
            f"at {own.settings['database']['host']} is another database server (system identifier {system}) than the "
            f"one that is archived here ({known}); nothing was touched: mend backup_database_host, or, where it was "
            f"made anew, move {own.path} aside, then `provision` and `backup.run`"
        )


def put_right(home: str, source: Source, held_from: str, aside: str, archive_wal: Callable[[], None]) -> str:
    """Move aside what was streamed of a history that the source has left, and go on where the two part; where it has
    dropped what comes there, with the first that it holds.

    `held_from` is from which place on the source holds WAL for this archive. Return what was done; empty where nothing
    was to be done.
    """
    other = timelines.other(source.way, {line: streaming.told(home, line) for line in source.way.ends(0)})
    if other:
        raise Trouble(
            f"the archive knows another timeline {other[-1]} than that of the source: two histories have one number. "
            "Nothing was touched: `backup.restore --into place` gives the source one of its own, and keeps what serves"
        )
    whole = [name for name, is_whole in streaming.whole(streaming.received(home)).items() if is_whole]
    ahead = timelines.ahead(whole, source.way, source.flushed)
    if ahead:
        raise Trouble(
            f"the source ends at {wal.written(source.flushed)} of timeline {source.way.line}, and the archive holds "
            f"{ahead[-1]} of it: it was set back, and two histories have one number. Nothing was touched: "
            "`backup.restore --into place` gives the source one of its own, and keeps what serves"
        )
    here = streaming.whole(streaming.lying(home))
    held = wal.place(held_from) // wal.SEGMENT if held_from else 0
    stranded = timelines.stranded(here, source.way, held)
    gone = sorted(here) if stranded else timelines.strayed(here, source.way, source.flushed)
    if not gone:
        return ""
    _move(home, aside, [name for name in gone if not here[name]])
    begin = timelines.resume(streaming.whole(streaming.received(home)), source.way, source.flushed)
    if begin and held_from and wal.number(begin) >= held:
        _mark(home, begin)
    archive_wal()  # what is whole; but the last of it where there is no part
    _move(home, aside, [name for name in gone if here[name]])
    dropped = (
        ", and has dropped WAL with which that began: no restore goes past it before the next backup (`backup.run`)"
    )
    moved = f": what was streamed of a history that it left lies in {aside}" if os.path.isdir(aside) else ""
    return f"the source is on timeline {source.way.line}{dropped if stranded else ''}{moved}"


def _move(home: str, aside: str, names: list[str]) -> None:
    """Move files of the stream aside that are still there."""
    for path in [path for name, path in streaming.lying(home).items() if name in names]:
        os.makedirs(aside, exist_ok=True)
        shutil.move(path, aside)


def _mark(home: str, name: str) -> None:
    """Have the receiver begin with a file: it asks for that of which it finds a part, be it empty."""
    path = f"{home}/streaming/{name}{streaming.PART}"
    with open(path, "wb"):
        shutil.chown(path, archive.USER, archive.USER)
