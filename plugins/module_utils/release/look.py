"""What this host says of a site: one reading, from which everything else is decided."""

from __future__ import annotations

import base64
import shutil
import time
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    chain,
    edits,
    fencing,
    ledger,
    lock,
    members,
    names,
    probe,
    scaling,
    shift,
    slots,
    stage,
    succession,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    WAYS_OUT,
    Failed,
    Host,
    now,
    read_json,
    utc,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES

DAY_S = 24 * 3600
WARN_DAYS = 14


def marker(environment: str, *, required: bool = True) -> None:
    """Refuse a host that was provisioned for another environment (ENV-2), before anything is changed.

    One that was never provisioned is refused too where a marker is `required`.
    """
    seen = read_json(names.HOST_MARKER)
    if not seen and not required:
        return
    if not seen:
        raise Failed("this host was never provisioned", hint="`provision` comes first", refused=True)
    allowed = [str(name) for name in seen.get("environments", [])]
    if environment not in allowed:
        raise Failed(
            f"this host belongs to {' and '.join(allowed)}, not to {environment}",
            hint=f"check the addresses in inventories/{environment}; if the host moved, remove {names.HOST_MARKER}",
            refused=True,
        )


def look(host: Host, request: Mapping[str, Any], *, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the site's state on this host; what was read `before` in this session spares hashing a whole release anew.

    `request`: roles, have (digests known to the driver), head (of the ledger, as the driver saw it last: hash, kept),
    secrets, wanted, runtime (whose tools are asked for), whole (_whole), lock, keeper (the address of who keeps it),
    copies (whether this host's copy of the ledger is asked for). Where a lock is wanted something is to be changed:
    Failed (refused) where it would be misled, which a look alone tells as `refuses`.
    """
    roles, reader = request["roles"], _Reader()
    seen: dict[str, Any] = {"time": utc(), "roles": roles, "damaged": reader.damaged}
    state = _shift(host, reader)
    if "app" in roles:
        seen.update(_app(host, request, before or {}, state, reader))
    if "app" in roles or "entry" in roles:
        seen.update(shift=state, pending=host.site.pending.exists(), follows=host.site.follows.exists())
        seen["copy"] = succession.last(host)
        if request.get("copies"):
            seen["copied"] = succession.copied(host)
    if "entry" in roles:
        seen.update(share=shift.share(host), maintenance=shift.hidden(host))
        seen["fenced"] = reader.read(host.site.state / fencing.FILE, serious=True).get("hosts", {})
    journal = chain.read(host.site.state / "journal.jsonl")
    seen["journal"] = _journal(host, journal)
    if "app" in roles and ledger.untold(journal.lines, host.run_id):
        from ansible_collections.ferryman.ops.plugins.module_utils.release import schema  # few drivers leave one

        seen["migration"] = schema.unheard(host, acts=bool(request.get("lock")))
    seen["token"] = int(reader.read(host.site.state / "token.json").get("token", 0))
    if reader.read(host.site.way, serious=False):
        seen["way"] = True  # a key was let in here for a run
    if "arbiter" in roles:
        seen.update(_arbiter(host, reader))
        lacks = succession.lacks(seen["ledger"]["lines"], {"this host": seen.get("copy", {})})
        if lacks and not seen["ledger"]["wrong"]:
            seen["ledger"].update(wrong=lacks, way_out=succession.WAY_OUT)
        _compare(seen["ledger"], request.get("head") or {})
    if request.get("whole"):
        seen.update(_whole(host, request, reader))
    try:
        _refuse(seen, reader)
    except Failed as failed:
        if request.get("lock"):
            raise
        seen["refuses"] = {"reason": str(failed), "hint": failed.hint}
    return seen


def _journal(host: Host, book: chain.Chain) -> dict[str, Any]:
    """Return how this host's journal stands; where it was edited, a run goes on all the same."""
    path = host.site.state / "journal.jsonl"
    way_out = f"bring back a good copy of {path}, or move it aside: it is begun anew" if book.wrong else ""
    told = {"head": book.head, "lines": len(book.lines), "torn": bool(book.torn)}
    return {**told, "wrong": book.wrong, "way_out": way_out}


def _whole(host: Host, request: Mapping[str, Any], reader: _Reader) -> dict[str, Any]:
    """Return what a look for people tells beside: how everything answers, and the certificates of an entry."""
    told: dict[str, Any] = {"health": {}}
    try:
        told["health"] = answers(host, request)
    except Failed as failed:
        reader.note(failed, serious=False)
    if "entry" in request["roles"]:
        told["servers"] = scaling.servers(host)
        try:
            told["certificates"] = _certificates(request["entry"])
        except (OSError, ValueError) as error:
            reader.note(Failed(f"the certificates' records cannot be read: {error}", hint="provision"), serious=False)
    return told


def _certificates(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the certificates that carry the site's name, as of now, and whether clients get them."""
    from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts, certificate_host

    found = []
    for record in certificate_host.records():
        if entry["domain"] not in record.get("domains", []):
            continue
        told = {
            key: record.get(key) for key in ("name", "mode", "domains", "not_after", "last_attempt", "last_renewal")
        }
        if record.get("not_after"):
            left_s = certificate_facts.seconds_left(record["not_after"], utc())
            told["days_left"] = round(left_s / DAY_S, 1)
            told["near_expiry"] = certificate_facts.near_expiry(
                record["not_before"], record["not_after"], utc(), warn_days=WARN_DAYS
            )
            asked = {"address": "127.0.0.1", "port": int(entry["port"])}
            told["served"] = certificate_facts.look(asked, {**record, "domains": [entry["domain"]]})
        found.append(told)
    return found


class _Reader:
    """Reads what may be damaged: a look says so and goes on, since it is how people find out."""

    def __init__(self) -> None:
        self.damaged: list[str] = []
        self.serious: list[Failed] = []

    def read(self, path: Path, *, serious: bool = True) -> dict[str, Any]:
        """Return the object in `path`; empty where it cannot be understood, which stops changes if it is `serious`."""
        try:
            return read_json(path)
        except Failed as failed:
            self.note(failed, serious=serious)
            return {}

    def note(self, failed: Failed, *, serious: bool) -> None:
        """Remember what cannot be understood, once."""
        said = f"{failed}: {failed.hint}"
        if said not in self.damaged:
            self.damaged.append(said)
        if serious:
            self.serious.append(failed)


def _refuse(seen: Mapping[str, Any], reader: _Reader) -> None:
    """Refuse to begin a change on what would mislead it; a look alone goes on and tells."""
    for failed in reader.serious:
        raise Failed(str(failed), hint=failed.hint, refused=True)
    book = seen.get("ledger") or {}
    if book.get("wrong"):
        raise Failed(f"the ledger cannot be relied on: {book['wrong']}", hint=book["way_out"], refused=True)


def _shift(host: Host, reader: _Reader) -> dict[str, Any]:
    """Return the shift state; where its file is damaged, what the links say."""
    try:
        return _unsealed(shift.state(host))
    except Failed as failed:
        reader.note(failed, serious=True)
    stable = "green" if shift.share(host) == shift.full("green") else "blue"
    return {
        "format": 1,
        "stable": stable,
        "candidate": None,
        "release_stable": slots.holds(host, stable),
        "release_candidate": "",
        "share": shift.share(host),
        "phase": "unknown",
    }


def _unsealed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the shift state without what proves the arbiter's word, which is the hosts' alone."""
    told = {key: value for key, value in state.items() if key != "seal"}
    if "asks" in told:
        told["asks"] = {key: value for key, value in told["asks"].items() if key != "seal"}
    if "stable_run" in told:
        told["stable_run"] = {key: value for key, value in told["stable_run"].items() if key in ("run", "undoes")}
    return told


def _releases(host: Host, reader: _Reader, live: str) -> list[dict[str, Any]]:
    """Return the records of the releases on this host; one that cannot be read stops a change only if it serves."""
    found = []
    for path in sorted(host.site.root.glob("releases/*/release.json")):
        serves = path.parent.name == live
        record = reader.read(path, serious=serves)
        try:
            if record:
                _in_short(record)
                found.append(record)
        except (KeyError, TypeError, AttributeError):
            reason = f"{path} was damaged, or edited by hand: it is not whole"
            reader.note(Failed(reason, hint=WAYS_OUT[path.name].format(path=path)), serious=serves)
    return found


def _tools(request: Mapping[str, Any]) -> dict[str, str]:
    """Return what a build for the `runtime` must fit; refuse a change where this host has not got what it needs."""
    told = RUNTIMES[request["runtime"]].tools() if request.get("runtime") else {}
    missing = [name for name, value in told.items() if not value]
    if missing and request.get("lock"):
        reason = f"this host has no {missing[0]}, which the application runs on"
        raise Failed(reason, hint="`provision` installs it", refused=True)
    return told


def _app(
    host: Host, request: Mapping[str, Any], before: Mapping[str, Any], state: Mapping[str, Any], reader: _Reader
) -> dict[str, Any]:
    site = host.site
    current = (site.root / "current").resolve().name if (site.root / "current").is_symlink() else ""
    serves = slots.holds(host, state["stable"])
    present = _releases(host, reader, serves)
    live = next((record for record in present if record["id"] == serves), {})
    beside = slots.holds(host, names.BASELINE)
    disk = shutil.disk_usage(site.root if site.root.exists() else "/")
    seen: dict[str, Any] = {
        "tools": _tools(request),
        "releases": [_in_short(record) for record in present],
        "environments": [path.parent.name for path in site.root.glob("environments/*/.complete")],
        "slots": {slot: slots.holds(host, slot) for slot in names.SLOTS},
        **({"baseline": beside} if beside else {}),
        "current": current,
        "live": live.get("id", ""),
        "free_bytes": disk.free,
        "size_bytes": disk.total,
        "edited": [],
        "ill": [],
        "base": {},
        "sizes": scaling.seen(host, live),
        **({"taken": scaling.taken(host, request["room"])} if request.get("room") else {}),
    }
    if live:
        text = edits.listed(host, live)
        seen["edited"] = before["edited"] if before.get("live") == live["id"] else edits.found(host, live, text)
        seen["ill"] = [str(each) for each in probe.check(host, state["stable"])]
        seen["base"] = {"migrations": live["manifest"].get("migrations", "")}
        if not text:
            return seen  # nothing that a new release could be made from
        seen["base"].update(id=live["id"], digest=live["digest"])
        if live["digest"] not in request.get("have", []):
            seen["base"]["files"] = base64.b64encode(zlib.compress(text.encode())).decode()
    return seen


def _in_short(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a driver needs of a release that it did not build: its names, and how it is looked at."""
    told = record["manifest"]["description"]
    checks = {
        "processes": {n: {"kind": p["kind"], "health": p.get("health")} for n, p in told["processes"].items()},
        "health": told["health"],
        "verify": told.get("verify") or [],
        "metrics": told.get("metrics") or [],
    }
    return {
        **{key: record.get(key) for key in ("id", "digest", "configuration", "commit", "environment_key")},
        "checks": checks,
    }


def _arbiter(host: Host, reader: _Reader) -> dict[str, Any]:
    path = host.site.arbiter / "ledger.jsonl"
    book = chain.read(path)
    way_out = f"bring back a good copy of {path}, or move it aside, which forgets all releases" if book.wrong else ""
    held = reader.read(host.site.arbiter / "lock.json")
    waiting = lock.before(reader.read(host.site.arbiter / "queue.json", serious=False), now(), run="")
    exchange = reader.read(host.site.exchange)
    if exchange:
        exchange["committed"] = ledger.committed(book.lines, str(exchange.get("run")))
    return {
        "exchange": exchange,
        "lock": {**held, "alive": lock.alive(held, now())},
        "waiting": [{key: each[key] for key in ("owner", "purpose", "since")} for each in waiting],
        "ledger": {
            "head": book.head,
            "wrong": book.wrong,
            "way_out": way_out,
            "torn": bool(book.torn),
            "lines": book.lines,
        },
        "unfinished": ledger.story(book.lines).unfinished,
    }


def _compare(book: dict[str, Any], head: Mapping[str, str]) -> None:
    """Say so where the ledger does not hold the `head` (hash, and kept in which file) that the driver saw last.

    A chain on one host proves nothing against root there: who can write it can write a shorter one.
    """
    if head and not book["wrong"] and head["hash"] not in {line.get("hash") for line in book["lines"]}:
        book["wrong"] = f"it does not hold the line {head['hash'][:12]} that this driver saw last"
        other = "or have a host take over with the longest copy that one has (`unlock --force`)"
        anew = f"where it was begun anew on purpose, `rm {head['kept']}` here"
        book["way_out"] = f"compare it with a backup, {other}; {anew}"


def is_current(host: Host, request: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """Return nothing when what is wanted is what is served and all is well, else the reason why it is not."""
    wanted = request["wanted"]
    if "app" in seen["roles"]:
        live = read_json(host.site.release(str(seen["live"])) / "release.json") if seen["live"] else {}
        if not live:
            return "nothing is live"
        if wanted.get("dirty") or live["commit"] != wanted["commit"]:
            return f"{live['id']} is live"
        if live["configuration"] != wanted["configuration"]:
            return "the configuration has changed"
        if seen["edited"]:
            return f"the live release was edited by hand: {', '.join(seen['edited'][:5])}"
        changed = stage.changed_secrets(host, request.get("secrets") or {})
        if changed:
            return f"secrets have changed: {', '.join(changed)}"
        if seen["current"] != live["id"]:
            return "`current` does not lead to the live release"
        if seen["ill"]:
            return "; ".join(seen["ill"])
    if "entry" in seen["roles"] and not str(seen["shift"]["release_stable"]).endswith(wanted["commit"][:7]):
        return f"{seen['shift']['release_stable'] or 'nothing'} is live"  # its applications are on other hosts
    return _left_over(host, request, seen)


def _left_over(host: Host, request: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """Return what earlier runs left to be done, whatever is live; nothing where there is nothing."""
    if seen.get("pending") or ("share" in seen and seen["share"] != shift.full(seen["shift"]["stable"])):
        return "a shift of traffic was not finished"
    if seen.get("unfinished"):
        return "an earlier run did not end"
    return "another host keeps the lock now" if _asks_another(host, request, seen["roles"]) else ""


def _asks_another(host: Host, request: Mapping[str, Any], roles: Collection[str]) -> bool:
    """Say whether this host would ask another one than who keeps the lock how what is live here stands."""
    was = shift.state(host).get("stable_run", {})
    if not (request.get("keeper") and was):
        return False
    keeper = "" if "arbiter" in roles else str(request["keeper"])
    return str(was.get("asks", {}).get("address", "")) != keeper


def health(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return how everything that this host serves answers, by name; one bad answer decides nothing, two in a row do."""
    before = answers(host, request)
    if all(each["good"] for each in before.values()):
        return before
    time.sleep(probe.AGAIN_S)
    again = answers(host, request)  # of what it no longer serves nothing is told
    return {name: was if (was := before.get(name, each))["good"] else each for name, each in again.items()}


def answers(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask everything that this host serves once, each within its time, and return what was answered by name."""
    found: dict[str, Any] = {}
    if "app" in request["roles"]:
        stable = shift.state(host)["stable"]
        for instance in slots.instances(host, stable, slots.record(host, stable)):
            if instance.kind == "web":
                good, note = probe.answer(host, instance)
                found[instance.unit or instance.name] = {"good": good, "said": note}
        for ill in probe.check(host, stable):
            found.setdefault(ill.unit, {"good": False, "said": ill.said})
    if "entry" in request["roles"]:
        found.update(_entry_health(host, request))
    return found


def _entry_health(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask through the entry; behind a maintenance page only the entry itself, since the page answers for all else.

    Of several app hosts each is asked from here: of one that is left out clients notice nothing.
    """
    answers: dict[str, Any] = members.ways(host, shift.state(host)["stable"])
    live = slots.record(host, shift.state(host)["stable"])
    declared = live["manifest"]["description"]["health"]["checks"] if live and not shift.hidden(host) else []
    paths = {"entry": {"path": shift.SLOT_PATH, "status": 200}, **{check["name"]: check for check in declared}}
    for name, check in paths.items():
        try:
            status, _, text = shift.get(request["entry"], check["path"], timeout_s=float(check.get("timeout_s") or 3))
            answers[name] = {
                "good": status == int(check.get("status") or 200),
                "said": f"{check['path']} answered {status} {text.strip().partition(chr(10))[0][:80]}",
            }
        except (OSError, ValueError) as error:
            answers[name] = {"good": False, "said": f"{check['path']}: {error}"}
    return answers
