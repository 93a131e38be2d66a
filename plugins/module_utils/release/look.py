"""What this host says of a site: one reading, from which everything else is decided."""

from __future__ import annotations

import base64
import shutil
import zlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    chain,
    files,
    ledger,
    lock,
    names,
    probe,
    provision,
    shift,
    slots,
    stage,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, now, read_json, utc


def marker(environment: str) -> None:
    """Refuse a host that was provisioned for another environment (ENV-2), before anything is changed."""
    seen = read_json(names.HOST_MARKER)
    if not seen:
        raise Failed("this host was never provisioned", hint="provision --env " + environment, refused=True)
    allowed = [str(name) for name in seen.get("environments", [])]
    if environment not in allowed:
        raise Failed(
            f"this host belongs to {' and '.join(allowed)}, not to {environment}",
            hint=f"check the addresses in inventories/{environment}; if the host moved, remove {names.HOST_MARKER}",
            refused=True,
        )


def look(host: Host, request: Mapping[str, Any], *, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the site's state on this host; what was read `before` in this session spares hashing a whole release anew.

    `request`: roles, have (digests known to the driver), secrets, wanted, verify.
    """
    roles = request["roles"]
    seen: dict[str, Any] = {"time": utc(), "roles": roles}
    if "app" in roles:
        seen.update(_app(host, request, before or {}))
    if "entry" in roles:
        entry = shift.state(host)
        seen.update(
            shift=entry,
            share=shift.share(host),
            pending=host.site.pending.exists(),
            maintenance=(host.site.state / "maintenance").exists(),
        )
    journal = chain.read(host.site.state / "journal.jsonl")
    seen["journal"] = {
        "head": journal.head,
        "lines": len(journal.lines),
        "torn": bool(journal.torn),
        "wrong": journal.wrong,
    }
    seen["token"] = int(read_json(host.site.state / "token.json").get("token", 0))
    if "arbiter" in roles:
        seen.update(_arbiter(host))
    return seen


def _app(host: Host, request: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    site = host.site
    present = [read_json(path) for path in sorted(site.root.glob("releases/*/release.json"))]
    live = (
        slots.record(host, shift.state(host)["stable"])
        if "entry" in request["roles"]
        else read_json(site.root / "current" / "release.json")
    )
    seen: dict[str, Any] = {
        "tools": provision.tools(),
        "releases": [_in_short(record) for record in present],
        "environments": [path.parent.name for path in site.root.glob("environments/*/.complete")],
        "slots": {slot: slots.holds(host, slot) for slot in names.SLOTS},
        "current": (site.root / "current").resolve().name if (site.root / "current").is_symlink() else "",
        "live": live.get("id", ""),
        "free_bytes": shutil.disk_usage(site.root if site.root.exists() else "/").free,
        "edited": [],
        "ill": [],
        "base": {},
    }
    if live:
        text = _list(host, live)
        seen["edited"] = before["edited"] if before.get("live") == live["id"] else _edited(host, live, text)
        seen["ill"] = probe.check(host, shift.state(host)["stable"])
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
    }
    return {
        **{key: record.get(key) for key in ("id", "digest", "configuration", "commit", "environment_key")},
        "checks": checks,
    }


def _list(host: Host, record: Mapping[str, Any]) -> str:
    """Return a release's list of files; nothing where it is not the one that was staged."""
    try:
        text = (host.site.release(record["id"]) / "files.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if files.digest(text) == record["digest"] else ""


def _edited(host: Host, record: Mapping[str, Any], text: str) -> list[str]:
    if not text:
        return ["files.txt"]
    return files.differing(host.site.release(record["id"]) / "app", _own(files.load(text), record))


def _own(entries: dict[str, files.Entry], record: Mapping[str, Any]) -> dict[str, files.Entry]:
    shared = tuple(f"{name}/" for name in record["manifest"]["description"].get("shared", []))
    return {path: entry for path, entry in entries.items() if not path.startswith(shared)} if shared else entries


def _arbiter(host: Host) -> dict[str, Any]:
    book = chain.read(host.site.arbiter / "ledger.jsonl")
    held = read_json(host.site.arbiter / "lock.json")
    return {
        "lock": {**held, "alive": lock.alive(held, now())},
        "ledger": {"head": book.head, "wrong": book.wrong, "torn": bool(book.torn), "lines": book.lines},
        "unfinished": ledger.story(book.lines).unfinished,
    }


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
    if "entry" in seen["roles"] and (seen["pending"] or seen["share"] != shift.full(seen["shift"]["stable"])):
        return "a shift of traffic was not finished"
    if seen.get("unfinished"):
        return "an earlier run did not end"
    return ""


def health(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask everything that this host serves, each within its time, and return what was answered by name."""
    answers: dict[str, Any] = {}
    if "app" in request["roles"]:
        stable = shift.state(host)["stable"]
        for instance in slots.instances(host, stable, slots.record(host, stable)):
            if instance.kind == "web":
                good, note = probe.answer(host, instance)
                answers[instance.unit or instance.name] = {"good": good, "said": note}
        for wrong in probe.check(host, stable):
            unit, _, said = wrong.partition(" ")
            answers.setdefault(unit.rstrip(":"), {"good": False, "said": said})
    if "entry" in request["roles"]:
        answers.update(_entry_health(host, request))
    return answers


def _entry_health(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    answers = {}
    live = slots.record(host, shift.state(host)["stable"])
    declared = live["manifest"]["description"]["health"]["checks"] if live else []
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
