"""Build an artifact of exactly one commit, once: its files, the list of them, its wheels, its manifest."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import posixpath
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES as HOSTS
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import STORES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import building, git, increment, tarball
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import sums

ARTIFACTS_KEPT = 10
POINTER = b"version https://git-lfs.github.com/spec/v1"


@dataclass(frozen=True)
class Artifact:
    """A built artifact on the driver: its directory, its manifest and the text of its list of files."""

    directory: Path
    manifest: dict[str, Any]
    list_of_files: str
    lacks_packages: bool = False
    """Whether what it depends on was not to be fetched, and is not here."""

    @property
    def tar(self) -> Path:
        """The files, as `app/...`, uncompressed."""
        return self.directory / "app.tar"


def build(
    commit: git.Commit,
    description: Mapping[str, Any],
    *,
    tools: Mapping[str, str],
    cache: Path,
    version: str,
    fetch: bool = True,
) -> Artifact:
    """Return the artifact of a commit for hosts with these `tools` (what its runtime says of them).

    An equal one is built once and kept in `cache`. Without `fetch`, packages that are not in it are left out.
    """
    kind = description["runtime"]["kind"]
    runtime, store = RUNTIMES[kind], cache / HOSTS[kind].STORE
    lock = runtime.lock(commit, description)
    fit = {name: tools[name] for name in runtime.FIT}
    ready = fetch or all(fit.values())  # else provisioning has yet to install what there is to fit
    wrong = runtime.unfit(lock, tools, description) if ready else []
    if wrong:
        raise AnsibleError("\n".join(wrong))
    key = lock.key(*fit.values()) if lock and ready else ""
    name = hashlib.sha256(
        json.dumps([commit.id, commit.path, fit, description["build"]], sort_keys=True).encode()
    ).hexdigest()[:12]
    directory = cache / "artifacts" / description["name"] / f"{commit.id[:12]}-{name}"
    if not (directory / "manifest.json").exists():
        replaced = _replaced(commit, description, locked=lock is not None)
        _make(commit, description, directory, replaced=replaced, key=key, fit=fit, version=version)
        _forget(directory.parent, cache)
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    lacks = lock is not None and lock.named and not fetch and (not ready or sums(store / key) is None)
    if lock and not lacks:
        if sums(store / key) is None:
            runtime.fill(store / key, lock, tools, description)
        manifest["runtime"][store.name] = sums(store / key)
    return Artifact(directory, manifest, (directory / "files.txt").read_text(encoding="utf-8"), lacks)


def is_migration(description: Mapping[str, Any], path: str) -> bool:
    """Say whether a file is one of those that `migrations.paths` names, or lies below one."""
    paths = [each.strip("/") for each in (description.get("migrations") or {}).get("paths", [])]
    return path in paths or path.startswith(tuple(f"{each}/" for each in paths))


def _forget(place: Path, cache: Path) -> None:
    """Keep an application's newest artifacts, and the packages that any artifact here was made with.

    Others may be built here at the same time: an artifact is there before its packages are, so these are listed first.
    """
    listed = [path for store in STORES for path in (cache / store).glob("[0-9a-f]*")]
    mine = {each: made for each in place.glob("[0-9a-f]*") if (made := increment.made(each))}
    for old in sorted(mine, key=mine.__getitem__)[:-ARTIFACTS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    used = {environment for each in place.parent.glob("*/[0-9a-f]*") for environment in _environment(each)}
    for packages in listed:
        if packages.name not in used:
            shutil.rmtree(packages, ignore_errors=True)


def _environment(artifact: Path) -> Iterator[str]:
    """Yield the key of the packages that an artifact was made with; nothing where it is gone meanwhile."""
    with suppress(FileNotFoundError):
        yield str(json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))["runtime"]["environment"])


def _make(
    commit: git.Commit,
    description: Mapping[str, Any],
    directory: Path,
    *,
    replaced: tuple[str, ...],
    key: str,
    fit: Mapping[str, str],
    version: str,
) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The work becomes the artifact by a rename: a build that is cut off leaves no half of one in the cache.
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".build-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        base = increment.find(commit, description, directory.parent)
        entries = _entries(commit, description, work, base, replaced)
        text = files.dump(entries)
        (work / "files.txt").write_text(text, encoding="utf-8")
        inside = "".join(f"{e.content} {p}\n" for p, e in sorted(entries.items()) if is_migration(description, p))
        manifest = {
            "format": 1,
            "app": description["name"],
            "commit": commit.id,
            "path": commit.path,
            "ref": commit.ref,
            "subject": commit.subject,
            "committed_at": commit.committed_at,
            "dirty": commit.dirty,
            "digest": files.digest(text),
            "files": len(entries),
            "bytes": sum(entry.size for entry in entries.values()),
            "runtime": {"kind": description["runtime"]["kind"], **fit, "environment": key},
            "migrations": hashlib.sha256(inside.encode()).hexdigest() if inside else "",
            "description": description,
            "built": {
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "on": os.uname().nodename,
                "ferryman": version,
            },
            "evidence": [],
        }
        (work / "manifest.json").write_text(json.dumps(manifest, sort_keys=True) + "\n", encoding="utf-8")
        work.chmod(0o755)
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(FileExistsError):  # somebody else built the same meanwhile
            work.rename(directory)


def _replaced(commit: git.Commit, description: Mapping[str, Any], *, locked: bool) -> tuple[str, ...]:
    """Return where a host links something into the tree: what else stands there is no part of the artifact.

    Packages that are committed and that no lock names are the application's own, and stay.
    """
    links = HOSTS[description["runtime"]["kind"]].LINKS
    root = str(description["build"]["root"])
    present = git.names(commit) if links and not locked else ()

    def committed(name: str) -> bool:
        return any(path.startswith(posixpath.normpath(posixpath.join(root, name)) + "/") for path in present)

    return (*(description.get("shared") or []), *(name for name in links if not committed(name)))


def _entries(
    commit: git.Commit,
    description: Mapping[str, Any],
    work: Path,
    base: increment.Base | None,
    replaced: tuple[str, ...],
) -> dict[str, files.Entry]:
    """Write app.tar, from the commit alone or from a `base` and what has changed since; return what is in it."""
    exclude = [*description["build"]["exclude"], *replaced]
    if base is None:
        return _pack(_members(commit, description, work), work / "app.tar", exclude)
    part = work / "part.tar"
    new = _pack(_members(commit, description, work, only=base.changed), part, exclude)
    entries = dict(sorted({**base.kept(), **new}.items()))
    tarball.merge(work / "app.tar", entries, {base.tar: base.entries, part: new})
    part.unlink()
    return entries


def _members(
    commit: git.Commit, description: Mapping[str, Any], work: Path, *, only: Sequence[str] | None = None
) -> Iterator[tuple[str, int, bytes | str]]:
    """Yield (path, mode, content or link target) of every file of the tree, after the build's commands if any.

    `only` these paths, where some are given.
    """
    if only is not None and not only:
        return  # git would take no path for all of them
    build = description["build"]
    listed = git.git(commit.repository, "ls-tree", "-r", commit.tree).splitlines()
    modules = [line.partition("\t")[2] for line in listed if line.startswith("160000 ")]
    if modules:
        raise AnsibleError(
            f"{commit.repository} has submodules ({', '.join(modules[:5])}); git does not archive them: "
            "vendor them into the repository"
        )
    # Equal commits give equal files, whatever line ends the driver's own settings ask for.
    words = ["git", "-C", str(commit.repository), "-c", "core.autocrlf=false", "--literal-pathspecs"]
    process = subprocess.Popen(
        [*words, "archive", "--format=tar", commit.tree, "--", *(only or [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        if not build["commands"] and build["root"] == ".":
            yield from _from_tar(archive)
        else:
            # Asked for in this way since Debian 12's own Python can be asked in no other.
            archive.extraction_filter = getattr(tarfile, "tar_filter", None)
            archive.extractall(work / "tree")  # noqa: S202 - git has just made it, of what is committed
        # Git pads the end, which tarfile leaves unread: a pipe closed too early would be its failure.
        process.stdout.read()
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise AnsibleError(f"git archive {commit.tree}: {said}")
    if build["commands"] or build["root"] != ".":
        yield from building.files(building.built(work / "tree", build))
        shutil.rmtree(work / "tree")


def _from_tar(archive: tarfile.TarFile) -> Iterator[tuple[str, int, bytes | str]]:
    for member in archive:
        if member.issym():
            yield member.name, 0o777, member.linkname
        elif member.isfile():
            content = archive.extractfile(member)
            yield member.name, member.mode, content.read() if content else b""


def _pack(
    members: Iterable[tuple[str, int, bytes | str]], target: Path, exclude: Sequence[str]
) -> dict[str, files.Entry]:
    entries: dict[str, files.Entry] = {}
    with target.open("wb") as archive:
        for path, mode, content in members:
            if _left_out(path, exclude):
                continue
            try:
                files.plain(path)
            except ValueError as error:
                raise AnsibleError(f"{error}: rename the file, or name it in build.exclude") from None
            if isinstance(content, str):
                entries[path] = files.Entry(path, "0777", f"->{content}", 0)
                continue
            if content.startswith(POINTER):
                raise AnsibleError(
                    f"{path} is a Git LFS pointer, not the file: keep the file in git, or fetch it in build.commands"
                )
            plain = 0o755 if mode & 0o100 else 0o644
            entries[path] = files.Entry(path, f"{plain:04o}", hashlib.sha256(content).hexdigest(), len(content))
            archive.write(tarball.member(f"app/{path}", plain, content))
        archive.write(tarball.END)
    return entries


def _left_out(path: str, patterns: Iterable[str]) -> bool:
    return any(
        path == p.rstrip("/") or path.startswith(p.rstrip("/") + "/") or fnmatch.fnmatch(path, p) for p in patterns
    )
