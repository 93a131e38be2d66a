"""What a plan must know of a host beyond a look: what was rendered for the release that serves, and what it has."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, slots, stage
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, read_json


def seen(host: Host, request: Mapping[str, Any], look: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan compares with, beside what a `look` at this host has found.

    `provisioned`; `ports` (ports.json); `scaled` (sizes.json); `secrets` that would be written, by name: new or
    changed; `rendered`: texts of launchers (run/<process>) and units as they lie here, the slot that they are of, and
    what the live release says of its commit, its shared directories and its health checks. Nothing of a secret but its
    name.
    """
    found: dict[str, Any] = {"provisioned": names.HOST_MARKER.exists()}
    if "app" in request["roles"]:
        found["ports"] = read_json(host.site.settings / "ports.json")
        found["scaled"] = slots.scaled(host)
        found["secrets"] = {
            name: "changed" if (host.site.settings / "secrets" / name).exists() else "new"
            for name in stage.changed_secrets(host, request.get("secrets") or {})
        }
        found["rendered"] = _rendered(host, str(look.get("live") or ""))
    return found


def _rendered(host: Host, live: str) -> dict[str, Any]:
    record = read_json(host.site.release(live) / "release.json") if live else {}
    if not record:
        return {}
    told = record["manifest"]["description"]
    slot = next((slot for slot in names.SLOTS if slots.holds(host, slot) == live), "")
    paths = {f"run/{path.name}": path for path in (host.site.release(live) / "run").glob("*")}
    paths.update({path.name: path for path in slots.unit_files(host, slot)} if slot else {})
    return {
        "slot": slot,
        "texts": {name: text for name, path in sorted(paths.items()) if (text := _text(path)) is not None},
        "kept": {key: record.get(key) for key in ("id", "commit", "digest", "configuration", "environment_key")},
        "asked": asked(told),
    }


def asked(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a release's configuration says beside its launchers and the units in a slot."""
    processes = description.get("processes") or {}
    return {
        "shared": description.get("shared") or [],
        "health": description.get("health") or {},
        "processes": {n: p for n, p in processes.items() if p["kind"] == "once" or not p.get("command")},
    }


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return None
