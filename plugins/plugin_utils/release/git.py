"""Where the source is: a commit of a repository, here or elsewhere, and what cannot be had from it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible.errors import AnsibleError

ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True)
class Commit:
    """One commit: `repository` is a directory that git understands, `path` the application's directory in it."""

    repository: Path
    path: str
    id: str
    ref: str
    subject: str
    committed_at: str
    dirty: bool = False

    @property
    def tree(self) -> str:
        """The application's tree, as git names it."""
        return f"{self.id}:{self.path}" if self.path not in ("", ".") else self.id


def git(repository: Path, *words: str, env: dict[str, str] | None = None) -> str:
    """Run git in a repository and return its output."""
    done = subprocess.run(
        ["git", "-C", str(repository), *words],
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # names and texts in a repository are bytes
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", **(env or {})},
    )
    if done.returncode:
        raise AnsibleError(f"git {words[0]} in {repository}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def find(repository: str, *, root: Path, path: str, ref: str, cache: Path, allow_dirty: bool, explicit: bool) -> Commit:
    """Return the commit that `ref` names. `repository` is a path (relative to `root`) or anything that git clones.

    Without an `explicit` ref, work that is not committed is refused, or named as such with `allow_dirty`.
    """
    place, path, worked_in = _place(repository, path, root=root, cache=cache)
    shown = repository if place.is_relative_to(cache) else place  # "." says nothing to who reads it elsewhere
    name = posixpath.normpath(path.strip("/") or ".")
    if name.startswith("..") or ref.startswith("-"):
        wrong = path if name.startswith("..") else ref
        raise AnsibleError(f"{wrong!r} is neither a directory in {shown} nor a ref")
    dirty = git(place, "status", "--porcelain", "--", name).rstrip() if worked_in and not explicit else ""
    if dirty and not allow_dirty:
        changed = ", ".join(line[3:] for line in dirty.splitlines()[:5])
        raise AnsibleError(
            f"{place / name} has changes that are in no commit: {changed}. "
            "Commit them, or name what to deploy with --ref, or (outside prod) use --allow-dirty"
        )
    where = _work_tree(place, name) if dirty else ref
    try:
        commit = git(place, "rev-parse", "--verify", "--quiet", f"{where}^{{commit}}").strip()
    except AnsibleError:
        way = f"`git -C {place} tag` and `branch -a` show what there is"
        if git(place, "rev-parse", "--is-shallow-repository").strip() == "true":
            way = f"it is a shallow clone: `git -C {place} fetch --unshallow`"
        raise AnsibleError(f"{shown} has no commit {ref!r}; {way}") from None
    words = ("log", "-1", "--no-show-signature", "--format=%H%x00%s%x00%cI")
    found, subject, at = git(place, *words, commit).strip().split("\0")
    return Commit(place, name, found, ref, subject, at, dirty=bool(dirty))


def _place(repository: str, path: str, *, root: Path, cache: Path) -> tuple[Path, str, bool]:
    """Return a directory that git understands, the application's path in it, and whether people work there."""
    local = (root / Path(repository).expanduser()).resolve()
    if local.exists():
        if git(local, "rev-parse", "--is-inside-work-tree").strip() != "true":
            return local, path, False  # a bare one
        # A directory inside of a repository is as good a place to name: git counts its paths from the top.
        top, prefix = git(local, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")[:2]
        return Path(top), f"{prefix}{path}", True
    return _mirrored(repository, cache / "repositories"), path, False


def _mirrored(repository: str, cache: Path) -> Path:
    """Return a mirror of a repository elsewhere, as it is now; one run at a time brings it there.

    Applications of one repository may be deployed at the same time.
    """
    mirror = cache / hashlib.sha256(repository.encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{mirror.name}.lock").open("w", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if mirror.is_dir():
            git(mirror, "remote", "update", "--prune")
            return mirror
        with tempfile.TemporaryDirectory(dir=cache, prefix=".clone-", ignore_cleanup_errors=True) as name:
            git(cache, "clone", "--quiet", "--mirror", repository, f"{name}/whole")
            Path(name, "whole").rename(mirror)
    return mirror


def _work_tree(place: Path, path: str) -> str:
    """Return a commit of the work tree as it is, made beside the repository's own index.

    Nothing in the repository moves.
    """
    try:
        git(place, "rev-parse", "--verify", "--quiet", "HEAD")
    except AnsibleError:
        raise AnsibleError(f"{place} has no commit yet; `git add` what belongs to it, then `git commit`") from None
    person = {"GIT_AUTHOR_NAME": "ferryman", "GIT_AUTHOR_EMAIL": "ferryman@localhost"}
    person.update({name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()})
    with tempfile.TemporaryDirectory(prefix="ferryman-index-") as name:  # another run may do the same just now
        env = {"GIT_INDEX_FILE": f"{name}/index", **person}  # a pipeline's git knows nobody
        git(place, "read-tree", "HEAD", env=env)
        git(place, "add", "--all", "--", path, env=env)
        tree = git(place, "write-tree", env=env).strip()
        words = ("commit-tree", tree, "-p", "HEAD", "-m", "changes that are in no commit")
        return git(place, *words, env=env).strip()


def leads_to(before: str, commit: Commit) -> bool | None:
    """Say whether the commit `before` is this one or among those before it; None where the repository lacks it."""
    try:
        return not git(commit.repository, "rev-list", "--max-count=1", f"{before}^{{commit}}", f"^{commit.id}").strip()
    except AnsibleError:
        return None


def require_id(word: str) -> None:
    """Refuse what is no commit's id: a host may have said it, and git takes a word with a dash for an option."""
    if not ID.fullmatch(word):
        raise AnsibleError(f"{word!r} is no commit: give its id, which is hexadecimal")


def changes(commit: Commit, since: str) -> list[str]:
    """Return the paths of the application's tree that are not in `commit` as they were in the commit `since`."""
    require_id(since)
    before = f"{since}:{commit.path}" if commit.path not in ("", ".") else since
    said = git(commit.repository, "diff-tree", "-r", "-z", "--no-renames", "--name-only", before, commit.tree)
    return said.split("\0")[:-1]


def names(commit: Commit) -> set[str]:
    """Return the paths of the application's tree."""
    return set(git(commit.repository, "ls-tree", "-r", "-z", "--name-only", commit.tree).split("\0")[:-1])


def has(commit: Commit, name: str) -> bool:
    """Say whether a file is in the application's tree."""
    return show(commit, name) is not None


def show(commit: Commit, name: str) -> str | None:
    """Return the text of a file of the application's tree, or None."""
    try:
        return git(
            commit.repository,
            "show",
            f"{commit.id}:{name}" if commit.path == "." else f"{commit.id}:{commit.path}/{name}",
        )
    except AnsibleError:
        return None
