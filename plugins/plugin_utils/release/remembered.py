"""What the driver remembers of releases: lists of files by their digest, and the records of those that it made."""

from __future__ import annotations

import json
import os
import zlib
from base64 import b64decode
from pathlib import Path
from typing import Any


def write(place: Path, content: bytes) -> None:
    """Write a file whole or not at all: half of one that a killed run left would be read as what a host was like."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}-{os.getpid()}")
    fresh.write_bytes(content)
    fresh.rename(place)


def digests(work_dir: Path) -> list[str]:
    """Return the digests of the artifacts whose lists of files are here."""
    return [path.stem for path in (work_dir / "files").glob("*.txt")]


def keep_files(work_dir: Path, digest: str, packed: str) -> None:
    """Keep an artifact's list of files, as a host packs it (zlib, base64)."""
    write(work_dir / "files" / f"{digest}.txt", zlib.decompress(b64decode(packed)))


def files_of(work_dir: Path, digest: str) -> str | None:
    """Return an artifact's list of files; None where it is not here."""
    place = work_dir / "files" / f"{digest}.txt"
    return place.read_text(encoding="utf-8") if digest and place.is_file() else None


def description_of(work_dir: Path, release: str) -> dict[str, Any] | None:
    """Return how a release describes itself, of which a run here has remembered the record; None of any other."""
    for place in (work_dir / "runs").glob("*/plan.json"):
        record = json.loads(place.read_text(encoding="utf-8")).get("record") or {}
        if record.get("id") == release:
            return dict(record["manifest"]["description"])
    return None
