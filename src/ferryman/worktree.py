"""What is in no commit yet: asked of git in the first second, and not only once hosts are up and provisioned.

The rule is the collection's (plugin_utils/release/git.py), which asks again and has the last word.
"""

import os
import posixpath
import subprocess
from collections.abc import Mapping
from pathlib import Path


class _Unanswered(Exception):  # noqa: N818  # git said no, and why
    pass


def refusal(root: Path, source: Mapping[str, str]) -> str:
    """Return why a deploy of the work tree at `source` ({repository, path}) is refused; empty where it is not.

    `root` is the project's, from which `repository` counts. Of a repository elsewhere nothing is asked.
    """
    place = (root / Path(source["repository"]).expanduser()).resolve()
    if not place.exists():
        return ""
    try:
        if _git(place, "rev-parse", "--is-inside-work-tree").strip() != "true":
            return ""
        top, prefix = _git(place, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")[:2]
        name = posixpath.normpath(f"{prefix}{source['path']}".strip("/") or ".")
        dirty = "" if name.startswith("..") else _git(Path(top), "status", "--porcelain", "--", name).rstrip()
    except _Unanswered as said:
        return str(said)
    changed = ", ".join(line[3:] for line in dirty.splitlines()[:5])
    return dirty and (
        f"{Path(top) / name} has changes that are in no commit: {changed}. "
        "Commit them, or name what to deploy with --ref, or (outside prod) use --allow-dirty"
    )


def _git(place: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(place), *words],
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # names in a repository are bytes
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if done.returncode:
        raise _Unanswered(f"git {words[0]} in {place}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
