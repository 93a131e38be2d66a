"""What was edited by hand in a release on this host: compared with what was staged, names and contents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES


def listed(host: Host, record: Mapping[str, Any]) -> str:
    """Return a release's list of files; nothing where it is not the one that was staged."""
    try:
        text = (host.site.release(record["id"]) / "files.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if files.digest(text) == record["digest"] else ""


def found(host: Host, record: Mapping[str, Any], text: str) -> list[str]:
    """Return what is not as it was staged, by the list of files `text`: changed, gone, or added.

    Paths are those below the release's directory `app`; launchers are `run/<process>`.
    """
    if not text:
        return ["files.txt"]
    place, entries = host.site.release(record["id"]), files.load(text)
    told = record["manifest"]["description"]
    shared = told.get("shared", [])
    own = {path: entry for path, entry in entries.items() if not path.startswith(tuple(f"{name}/" for name in shared))}
    links = [*shared, *(RUNTIMES[told["runtime"]["kind"]].LINKS if record.get("environment_key") else ())]
    edited = files.differing(place / "app", own) + files.added(place / "app", entries, but=links)
    launchers = record.get("launchers")  # a release of an older Ferryman has none written down
    return edited if launchers is None else edited + [f"run/{name}" for name in _launchers(place / "run", launchers)]


def _launchers(directory: Path, launchers: Mapping[str, str]) -> list[str]:
    """Return the launchers that are not what `launchers` says (their SHA-256 by name), or that it does not name."""

    def differs(name: str) -> bool:
        try:
            return files.digest((directory / name).read_text(encoding="utf-8")) != launchers[name]
        except (OSError, UnicodeDecodeError):
            return True

    there = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    return [name for name in sorted(launchers) if differs(name)] + sorted(there - set(launchers))
