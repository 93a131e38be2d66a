"""Bring a release onto this host: only what changed travels, everything is checked against the artifact's digest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES

KEY = re.compile(r"[0-9a-f]{16}")
MANY = 400  # new files; beyond that, one sync of everything is cheaper than one of each
HEADROOM = 64 * 1024 * 1024  # bytes that stay free beside a new release: logs, journal, the database's next write


def stage(host: Host, request: Mapping[str, Any], body: IO[bytes]) -> dict[str, Any]:
    """Make the release directory from what lies in `base` and what `body` (a tar) brings; answer what is `missing`.

    `request`: release, record, files (text of files.txt) or change (of that of base), base (a release on this host, or
    empty), sent_bytes, launchers, shared, secrets.
    """
    name = str(request["release"])
    target = host.site.release(name)
    if target.is_dir():
        return {"missing": []}
    _room(host, int(request["sent_bytes"]))
    if host.check:
        host.changes.append(f"{target}/")
        return {"missing": []}
    host.journal("stage", "started", release=name)
    work = host.site.root / "incoming" / name
    shutil.rmtree(work, ignore_errors=True)
    try:
        request = {**request, "files": _list(host, request)}
        missing = _fill(host, work, request, body)
        if missing:
            return {"missing": missing}
        _environment(host, work, request["record"])
        _finish(host, work, request)
        _durable(work, files.load(str(request["files"])), base=host.site.release(str(request["base"] or "-")))
        target.parent.mkdir(parents=True, exist_ok=True)
        work.rename(target)
        _fsync(target.parent)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise Failed(
            f"no space left on {host.site.root} while staging",
            hint="free some, or lower release_keep; nothing that serves was touched",
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    host.changes.append(f"{target}/")
    host.journal("stage", "done", release=name, sent_bytes=request["sent_bytes"])
    return {"missing": []}


def _room(host: Host, need: int) -> None:
    place = host.site.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    # Packed bytes grow when they are unpacked: four times is what text and wheels do at most in practice.
    if free < need * 4 + HEADROOM:
        raise Failed(
            f"{place} has {free // 2**20} MiB free, staging needs about {(need * 4 + HEADROOM) // 2**20} MiB",
            hint="free some, or lower release_keep",
            refused=True,
        )


def _list(host: Host, request: Mapping[str, Any]) -> str:
    """Return the list of files: as it came, or made of that of `base`, since a list can outweigh what changed in it."""
    if "change" not in request:
        return str(request["files"])
    before = (host.site.release(str(request["base"])) / "files.txt").read_text(encoding="utf-8")
    return files.changed(before, request["change"])


def _fill(host: Host, work: Path, request: Mapping[str, Any], body: IO[bytes]) -> list[str]:
    entries = files.load(str(request["files"]))
    if files.digest(str(request["files"])) != request["record"]["digest"]:
        raise Failed(
            "the list of files does not match the artifact's digest", hint="build again: the artifact was damaged"
        )
    tree = work / "app"
    tree.mkdir(parents=True)
    got = _receive(host, tree, entries, body, request["record"]["manifest"]["runtime"])
    base = host.site.release(str(request["base"])) / "app" if request.get("base") else None
    missing: list[str] = []
    made: set[Path] = set()
    for path, entry in entries.items():
        if path in got:
            continue
        place = tree / path
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        if entry.link:
            place.symlink_to(entry.link)
            continue
        try:
            if base is None:
                raise FileNotFoundError
            os.link(base / path, place, follow_symlinks=False)
        except OSError:
            missing.append(path)
    return missing


def _receive(
    host: Host, tree: Path, entries: Mapping[str, files.Entry], body: IO[bytes], runtime: Mapping[str, Any]
) -> set[str]:
    """Unpack what was sent, each file checked against its entry; a package goes to the site's store, checked too."""
    import tarfile  # takes time, and few sessions are sent something

    got: set[str] = set()
    with tarfile.open(fileobj=body, mode="r|*") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            kind, _, path = member.name.partition("/")
            if _is_package(runtime, kind, path):
                place = host.site.root / kind / path
                if _save(place, content, 0o644) != runtime[kind].get(place.name):
                    place.unlink()
                    raise Failed(f"{path} arrived damaged", hint="run the command again")
                continue
            entry = entries.get(path)
            if kind != "app" or entry is None or entry.link:
                raise Failed(f"{member.name} was sent and is not in the artifact's list of files")
            if _save(tree / path, content, int(entry.mode, 8)) != entry.content:
                raise Failed(f"{path} arrived damaged", hint="run the command again")
            got.add(path)
    return got


def _is_package(runtime: Mapping[str, Any], store: str, path: str) -> bool:
    kind, (key, _, name) = RUNTIMES[runtime["kind"]], path.partition("/")
    return store == kind.STORE and bool(KEY.fullmatch(key)) and bool(kind.PACKAGE.fullmatch(name))


def _save(path: Path, content: IO[bytes], mode: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = hashlib.sha256()
    path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        while block := content.read(1 << 20):
            seen.update(block)
            stream.write(block)
    path.chmod(mode)
    return seen.hexdigest()


def _environment(host: Host, work: Path, record: Mapping[str, Any]) -> None:
    """Make the environment of dependencies that the release names, from what travelled alone, unless it is there."""
    key = str(record.get("environment_key") or "")
    if not key:
        return
    kind = RUNTIMES[record["manifest"]["runtime"]["kind"]]
    place = host.site.root / "environments" / key
    if not (place / ".complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        store = host.site.root / kind.STORE / key
        kind.install(host, place, sorted(path for path in store.glob("*") if kind.PACKAGE.fullmatch(path.name)))
        os.sync()  # the mark must not outlive a power cut that the rest did not
        (place / ".complete").touch()
        host.changes.append(f"{place}/")
    (work / "environment").symlink_to(f"../../environments/{key}")
    for name, target in kind.LINKS.items():
        (work / "app" / name).symlink_to(f"../environment/{target}")


def _finish(host: Host, work: Path, request: Mapping[str, Any]) -> None:
    site = host.site
    for name in request["shared"]:
        host.directory(site.root / "shared" / name, mode=0o750, owner=site.account)
        link = work / "app" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(site.root / "shared" / name)
    (work / "run").mkdir()
    for name, text in request["launchers"].items():
        path = work / "run" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    (work / "files.txt").write_text(str(request["files"]), encoding="utf-8")
    (work / "release.json").write_text(json.dumps(request["record"], sort_keys=True) + "\n", encoding="utf-8")


def _durable(work: Path, entries: Mapping[str, files.Entry], *, base: Path) -> None:
    """Bring to the disk what is new in a release, before anything is written that says that it is there."""
    new = [
        path
        for path in (work / "app" / name for name, e in entries.items() if not e.link)
        if path.lstat().st_nlink == 1
    ]
    if not base.is_dir() or len(new) > MANY:
        os.sync()
        return
    from concurrent.futures import ThreadPoolExecutor  # takes time, and few sessions stage

    with ThreadPoolExecutor(8) as pool:  # the journal of the file system takes them together
        list(pool.map(_fsync, [*new, *(work / "run").iterdir(), work / "files.txt", work / "release.json", work]))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def secrets(host: Host, values: Mapping[str, str]) -> list[str]:
    """Write the site's secrets where systemd alone reads them; return the names of those that changed.

    Others stay until no release that stays names them: the one that serves may be started again at any moment.
    """
    directory = host.site.settings / "secrets"
    host.directory(directory, mode=0o700)
    return [name for name, value in values.items() if host.write(directory / name, str(value), mode=0o600, secret=True)]


def changed_secrets(host: Host, values: Mapping[str, str]) -> list[str]:
    """Return the names of the secrets that are not on this host as `values` say."""

    def differs(name: str) -> bool:
        try:
            return (host.site.settings / "secrets" / name).read_text(encoding="utf-8") != str(values[name])
        except OSError:
            return True

    return [name for name in values if differs(name)]
