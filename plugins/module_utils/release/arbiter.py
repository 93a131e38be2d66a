"""Lock and ledger as the arbiter keeps them."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import chain, ledger, lock, names
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, read_json, utc

WAITS = "`--wait SECONDS` waits for it (of a playbook: -e release_wait_s=SECONDS)"


@contextmanager
def alone(host: Host) -> Iterator[None]:
    """Let one session at a time look at lock and queue, and change them."""
    host.site.arbiter.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (host.site.arbiter / "lock.flock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def keep(path: Path, value: Mapping[str, Any], *, mode: int = 0o644) -> None:
    """Write the lock; not through the host's list of changes, since a lease changes nothing that serves."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(json.dumps(value, sort_keys=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(path)


def _until(lease_s: float) -> str:
    return utc(time.time() + lease_s)


def take(host: Host, *, owner: str, purpose: str, lease_s: float) -> int:
    """Take the lock for this run and return its token. Failed (refused) names the holder, or who comes first."""
    if host.check:
        held = read_json(host.site.arbiter / "lock.json")
        if lock.alive(held, now()):
            raise Failed(str(lock.Held(held)), refused=True)
        return int(held.get("token", 0)) + 1
    try:
        return attempt(host, owner=owner, purpose=purpose, lease_s=lease_s)
    except lock.Held as held_by:
        follows = "`attach` follows it, " if held_by.lock.get("purpose", "").endswith(names.DETACHED) else ""
        hint = f"{follows}{WAITS}, or `unlock` if its owner is gone and you know that nothing of it runs"
        raise Failed(str(held_by), hint=hint, refused=True) from None
    except lock.Behind as behind:
        raise Failed(str(behind), hint=WAITS, refused=True) from None


def attempt(host: Host, *, owner: str, purpose: str, lease_s: float) -> int:
    """Take the lock for this run, which then waits no more. Raises lock.Held and lock.Behind."""
    path, queued = host.site.arbiter / "lock.json", host.site.arbiter / "queue.json"
    with alone(host):
        seen = int(read_json(host.site.state / "token.json").get("token", 0))
        queue = read_json(queued)
        mine = lock.take(
            read_json(path),
            now(),
            run=host.run_id,
            owner=owner,
            purpose=purpose,
            lease_s=lease_s,
            until=_until(lease_s),
            seen=seen,
            queue=queue,
        )
        keep(path, mine)
        if lock.stands_in(queue, host.run_id):
            keep(queued, lock.step_out(queue, run=host.run_id))
    host.token = int(mine["token"])
    return host.token


def let_go(host: Host) -> None:
    """Let go of the lock where this run waited for it, and it turns out that there is nothing to do."""
    if not host.check and holds(host, host.run_id):
        free(host)


def renew(host: Host, *, lease_s: float) -> None:
    """Count this run's lease anew. Failed (refused) where somebody came in between."""
    if host.check:
        return
    path = host.site.arbiter / "lock.json"
    with alone(host):
        try:
            mine = lock.renew(
                read_json(path), now(), run=host.run_id, token=host.token, lease_s=lease_s, until=_until(lease_s)
            )
        except lock.Lost as lost:
            raise Failed(str(lost), hint="`status` says who", refused=True) from None
        keep(path, mine)


def free(host: Host) -> None:
    """Let go of the lock, if it is this run's."""
    if host.check:
        return
    path = host.site.arbiter / "lock.json"
    with alone(host):
        keep(path, lock.free(read_json(path), run=host.run_id))


def unlock(host: Host, *, who: str, holder: str) -> dict[str, Any]:
    """Free the lock by force and say in the ledger whose it was; return the lock that was broken.

    Failed (refused) where its lease still runs, unless its run is the `holder` that is meant: whoever asked for that
    saw whose it was, and nobody who came since loses his.
    """
    path = host.site.arbiter / "lock.json"
    if host.check:
        return read_json(path) if read_json(path).get("held") else {}
    with alone(host):
        held, moment = read_json(path), now()
        if not held.get("held"):
            return {}
        runs = lock.alive(held, moment)
        if runs and held["run"] != holder:
            raise Failed(
                str(lock.Held(held)),
                hint="where that run is gone for good, `unlock` frees its lock all the same "
                f"(of a playbook: -e release_unlock_run={held['run']})",
                refused=True,
            )
        seen = int(read_json(host.site.state / "token.json").get("token", 0))
        keep(path, lock.break_(held, moment, by=who, seen=seen))
    how = "while it was at work" if runs else "which had run out"
    reason = f"broke the lock of {held.get('owner')} ({held.get('purpose')}), {how}"
    record(host, event="unlock", who=who, broken=held.get("run", ""), reason=reason)
    return held


def promise(host: Host, seal: str) -> None:
    """Keep what this run's other hosts know an answer by, before any of them begins: after a boot they are told one."""
    if seal and not host.check:
        told = {"format": 1, "run": host.run_id, "seal": seal, "boot": now().boot}
        keep(host.site.arbiter / "promise.json", told, mode=0o600)


def promised(host: Host) -> dict[str, Any]:
    """Return run and seal of the last run that was promised an answer in an earlier boot; empty for none."""
    told = read_json(host.site.arbiter / "promise.json")
    return told if told and told.get("boot") != now().boot else {}


def give_up(host: Host, run: str) -> None:
    """End a run that this host was started again in, with its lock: its driver is refused from then on."""
    path = host.site.arbiter / "lock.json"
    with alone(host):
        held = read_json(path)
        if held.get("held") and held.get("run") == run:
            seen = int(read_json(host.site.state / "token.json").get("token", 0))
            keep(path, lock.break_(held, now(), by="", seen=seen))
    close(host, run, status="abandoned", who="guard", reason="the host that keeps the lock was started again meanwhile")


def holds(host: Host, run: str) -> bool:
    """Return whether the lock is `run`'s."""
    held = read_json(host.site.arbiter / "lock.json")
    return bool(held.get("held")) and held.get("run") == run


def record(host: Host, **line: Any) -> dict[str, Any]:
    """Append a line to the ledger; refuses to go on behind a chain that is broken."""
    if host.check:
        return {}
    path = host.site.arbiter / "ledger.jsonl"
    wrong = chain.read(path).wrong
    if wrong:
        raise Failed(
            f"{path}: {wrong}: somebody changed the ledger",
            hint="compare with the driver's copy of its head; move the file aside to begin a new one",
        )
    return chain.append(path, {"at": utc(), "run": host.run_id, "token": host.token, **line})


def lines(host: Host) -> list[dict[str, Any]]:
    """Return the ledger's lines."""
    return chain.read(host.site.arbiter / "ledger.jsonl").lines


def lines_of(host: Host, run: str) -> list[dict[str, Any]]:
    """Return what the ledger says of a run so far."""
    return [line for line in lines(host) if line.get("run") == run]


def begun(host: Host) -> bool:
    """Return whether the ledger says that this run has begun, and not that it has ended."""
    return bool(ledger.story(lines(host)).unfinished.get("run") == host.run_id)


def committed(host: Host, run: str) -> bool:
    """Return whether the commit record of `run` is in the ledger."""
    return ledger.committed(lines(host), run)


def close(host: Host, run: str, **end: Any) -> None:
    """Write the end of a run whose driver cannot, with what its journal knows of the database; once."""
    last: dict[str, Any] = next(reversed(lines_of(host, run)), {})
    if last.get("status") != "started":
        return
    same = ("event", "release", "previous", "commit", "ref", "subject", "digest", "configuration", "slot")
    more = {key: last[key] for key in ("hotfix", "left_out", "migration") if last.get(key)}
    record(host, run=run, **{key: last.get(key) for key in same}, **more, **facts(host, run), **end)


def facts(host: Host, run: str) -> dict[str, Any]:
    """Return what a run did to the database, as this host's journal tells it: the driver took its own notes along.

    A migration that outlived its driver was heard of by a later run, which says whose it was (`of`).
    """
    found: dict[str, Any] = {}
    for line in chain.read(host.site.state / "journal.jsonl").lines:
        detail = line.get("detail") or {}
        if run not in (line.get("run"), detail.get("of")):
            continue
        if line.get("step") == "migrate":
            found.update({key: detail[key] for key in ("schema_before", "schema_after") if key in detail})
            found["migrated"] = line.get("result") != "undone"
            if detail.get("noted"):  # of another host, on which it may be taken back by now
                found["undoing"] = True
        elif line.get("step") == "snapshot" and "path" in detail:
            found["restore_point"] = detail["path"]
            found.update({"restore_point_sha256": detail["sha256"]} if "sha256" in detail else {})
    return found


def journal_of(host: Host, run: str) -> list[dict[str, Any]]:
    """Return what this host's journal has of a run."""
    return [line for line in chain.read(host.site.state / "journal.jsonl").lines if line.get("run") == run]


def close_unfinished(host: Host) -> None:
    """Write the end of a run that nobody has ended: its driver died before the switch, or lost this host."""
    unfinished = ledger.story(lines(host)).unfinished
    if unfinished and unfinished.get("run") != host.run_id:
        reason = f"its driver ({unfinished.get('who')}) did not come back to end it"
        close(host, str(unfinished["run"]), status="abandoned", reason=reason)
