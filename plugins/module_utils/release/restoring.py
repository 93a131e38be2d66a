"""A rollback that takes the database along: the restore point beside what serves, and the two exchanged.

What is under way stands in `exchange.json`, so that whoever comes next (the driver on its way back, the guard, the next
run) finishes it where the ledger has the commit record, and else undoes it. Between the moment in which what is lost
was counted and the commit only web processes of the release that is gone back to run, behind the maintenance page.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.data import comparing, copying
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    arbiter,
    draining,
    names,
    points,
    probe,
    settling,
    shift,
    slots,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release import database as db
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, now, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.ledger import Refused

Request = Mapping[str, Any]
Answer = dict[str, Any]
GROWS = 4  # times that a dump, which is packed, is smaller than its database, at least
AGAIN = "the host goes on trying by itself; `status` says when it is done"
COPY = "a copy is left beside the database that serves: `unlock` takes it away"


def under_way(host: Host) -> dict[str, Any]:
    """Return what is known of an exchange that has not ended; empty for none."""
    return read_json(host.site.exchange)


def _keep(host: Host, told: Mapping[str, Any]) -> None:
    host.write_json(host.site.exchange, {"format": 1, **told})


def _forget(host: Host) -> None:
    host.remove(host.site.exchange)


def _exchange(database: str, port: int) -> copying.Exchange:
    return copying.Exchange(database, port, fresh="point", aside="left", older="left_older")


@contextmanager
def _said(*, refused: bool = False, hint: str = "") -> Iterator[None]:
    """Turn what PostgreSQL says into what a step says."""
    try:
        yield
    except Refused as wrong:
        raise Failed(str(wrong), refused=refused, hint=wrong.hint) from None
    except Trouble as trouble:
        raise Failed(str(trouble), refused=refused, hint=hint) from None


# Before anything that serves is touched


def restore(host: Host, request: Request) -> Answer:
    """Fill a new database from the restore point, beside the one that serves."""
    if under_way(host):
        reason = "what an earlier rollback with the database put back is not well yet, and the maintenance page stays"
        raise Failed(reason, hint="mend that first: `status` says what is wrong", refused=True)
    point, name = points.Point(**request["point"]), str(request["database"])
    path = Path(point.path)
    there = path.is_file()
    wrong = points.may_be(point, sha256=db.digest(path) if there and point.sha256 else "", there=there)
    if wrong:
        raise Failed(wrong, hint=points.WAY_OUT, refused=True)
    with _said(refused=True):
        here = _exchange(name, int(db.psql(host, name, "show port")))
        if here.subscribes():
            raise Trouble(f"{name} gets changes from another server (a subscription), which would end: stop it first")
        size = int(Database(name, here.port).ask(copying.SIZE))
        here.require(max(size, path.stat().st_size * GROWS))
    if host.check:
        host.changes.append(f"{name} as of {point.at}")
        return {}
    host.journal("restore", "started", path=point.path, database=name)
    _keep(host, {"phase": "restore", "run": host.run_id, "database": name, "port": here.port})
    with _said():
        here.tidy()
        here.restore(point.path)
    host.journal("restore", "done", path=point.path, database=here.fresh)
    return {}


def compare(host: Host, request: Request) -> Answer:
    """Count what is written in the database that serves and not in the restore point."""
    told = under_way(host)
    if host.check or not told:
        return {}
    here = _exchange(told["database"], int(told["port"]))
    with settling.kept(host, by_s=request["settings"]["confirm_s"]), _said():
        found = comparing.compare(Database(here.name, here.port), Database(here.fresh, here.port))
    return {"lost": [table for table in found if points.is_lost(table)]}


def forget(host: Host, _: Request) -> Answer:
    """Take away what was restored to be looked at alone, and let go of the lock."""
    with deciding(host), _said():
        resolve(host)
    arbiter.free(host)
    return {}


# The exchange


def quiet(host: Host, request: Request) -> Answer:
    """Show the maintenance page, stop every process and let nobody into the database."""
    slot, release, settings = str(request["slot"]), str(request["release"]), request["settings"]
    if host.check or not under_way(host):
        return {}
    if not arbiter.begun(host):
        arbiter.record(host, status="started", **request["line"])
    page = host.site.state / "maintenance"
    with settling.held(host, by_s=settings["confirm_s"]):
        told = settling.require_phase(host, "restore")
        here = _exchange(told["database"], int(told["port"]))
        with _said():
            there, limit = here.there(), here.limit()
            if here.fresh not in there:
                raise Failed(
                    f"{here.fresh}, which was restored, is gone", hint="`rollback --with-database` begins again"
                )
        oids = {"serving": there[here.name], "point": there[here.fresh]}
        # From here on the guard ends what nobody ends; whoever finds a phase beyond `restore` finds a shift, too.
        shift.begin(host, slot=slot, release=release, confirm_s=settings["confirm_s"])
        told = {**told, **oids, "page": page.exists(), "limit": limit, "timeout_s": settings["start_timeout_s"]}
        _keep(host, {**told, "phase": "quiet"})
        host.journal("quiet", "started", release=release, database=here.name)
        host.write(page, "")
        _keep(host, {**told, "phase": "quiet", "hidden_at": now().boottime})
        for each in names.SLOTS:
            slots.stop(host, each, jobs=True)
        db.stop_once(host, slots.record(host, names.other(slot)))
        with _said():
            here.hold()
    host.journal("quiet", "done", release=release, database=here.name)
    return {}


def exchange(host: Host, request: Request) -> Answer:
    """Let the restored database take the name of the one that serves, which is kept.

    Not while nginx still has a request from before the page: no process is there that it could be given to, but as
    soon as one is, it would be written into what may be given up again.
    """
    if host.check:
        return {}
    settings, hidden = request["settings"], under_way(host).get("hidden_at")
    with settling.kept(host, by_s=settings["confirm_s"]):
        drained = hidden is None or draining.ended(host, request["entry"], since=hidden, drain_s=settings["drain_s"])
    # Nobody undoes it in its middle, and it does not begin where somebody has: a host may sleep at any line.
    with settling.held(host, by_s=settings["confirm_s"]), _said():
        told = settling.require_phase(host, "quiet")
        here = _exchange(told["database"], int(told["port"]))
        _keep(host, {**told, "phase": "exchange"})
        here.admit_up_to(here.fresh, int(told["limit"]))
        here.swap(final=False)
        here.admit_up_to(here.aside, int(told["limit"]))
    host.changes.append(f"database {here.name}")
    late = {} if drained else {"under_way_s": settings["drain_s"]}
    host.journal("exchange", "done", release=str(request["release"]), database=here.name, kept=here.aside, **late)
    return {"kept": here.aside, **late}


# Its two ends


def resolve(host: Host) -> Failed | None:
    """End an exchange that is under way: finished where its run is committed, else undone.

    Return why what served before is not well again, where that is so. Failed where the database cannot be put back:
    then it is still under way.
    """
    told = under_way(host)
    if not told or host.check:
        return None
    here = _exchange(told["database"], int(told["port"]))
    if arbiter.committed(host, str(told["run"])):
        _show(host, told)
        with suppress(Trouble):  # the next exchange takes it away as well
            here.end()
        _forget(host)
        return None
    with _said(hint=COPY if told["phase"] == "restore" else AGAIN):
        return _undo(host, here, told)


def _undo(host: Host, here: copying.Exchange, told: Mapping[str, Any]) -> Failed | None:
    if told["phase"] == "restore":  # nothing that serves was touched
        here.drop(here.fresh)
        _forget(host)
        return None
    first = told["phase"] != "undone"
    if first:
        _put_back(host, here, told)
    # Whoever comes again has no time to wait: the guard asks twice a second.
    ill = _ill(host, float(told["timeout_s"]) if first else 0)
    if not ill:
        _show(host, told)
        _forget(host)
    return ill


def _put_back(host: Host, here: copying.Exchange, told: Mapping[str, Any]) -> None:
    """Let the database that served before serve again, and tell the release that did to start."""
    serving = int(told["serving"])

    def exchanged() -> bool:
        return points.exchanged(here.there(), name=here.name, aside=here.aside, serving=serving)

    exchanged()  # what it refuses is refused before anything is stopped
    for slot in names.SLOTS:  # also what a boot has started on a database that goes again
        slots.stop(host, slot, jobs=True)
    # Asked again: SQL of a driver that was killed alone goes on without it.
    if exchanged():
        here.unswap()
    _keep(host, {**told, "phase": "quiet"})
    here.open()
    if here.there().get(here.fresh) == int(told["point"]):
        here.drop(here.fresh)
    if here.there().get(here.name) != serving:
        raise Trouble(f"{here.name} is another database than the one that served before: look who gave it that name")
    here.admit_up_to(here.name, int(told["limit"]))
    host.journal("exchange", "undone", database=here.name)
    slots.bring_up(host, str(shift.state(host)["stable"]))
    _keep(host, {**told, "phase": "undone"})


def _ill(host: Host, within_s: float) -> Failed | None:
    """Wait until what served before is well; return why it is not."""
    slot = str(shift.state(host)["stable"])
    until = time.monotonic() + within_s
    while ill := probe.check(host, slot, kinds=("web",)):
        if time.monotonic() > until:
            return Failed(
                f"{'; '.join(map(str, ill))}; the maintenance page stays until that is well",
                evidence=shift.app_logs(host, slot),
            )
        time.sleep(0.3)
    return None


def _show(host: Host, told: Mapping[str, Any]) -> None:
    """Hide the maintenance page, unless it was shown before."""
    if not told.get("page", True) and host.remove(host.site.state / "maintenance"):
        host.journal("maintenance", "done", on=False)


STEPS: dict[str, Callable[[Host, Request], Answer]] = {
    "restore": restore,
    "compare": compare,
    "forget": forget,
    "quiet": quiet,
    "exchange": exchange,
}
