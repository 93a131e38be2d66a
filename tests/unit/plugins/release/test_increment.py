"""An artifact that grew out of the one before is the artifact that the commit alone gives, to the byte."""

import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import artifact, description, git, increment

TOOLS = {"python": "3.11", "platform": "linux-x86_64", "libc": "glibc-2.36"}
NAMES = ["a.txt", "a-b", "a/x", "a/y z", "größe/ß", "b/" + "n" * 120, "run", "skip/me", "media/kept", "[x]*"]
APP = {"format": 1, "name": "site", "runtime": {"kind": "static"}, "shared": ["media"], "build": {"exclude": ["skip"]}}


class Tree:
    """A repository whose application lies in `app`, changed at random."""

    def __init__(self, place: Path, chance: random.Random) -> None:
        self.place, self.chance = place, chance
        place.mkdir()
        self.run("init", "-q", "-b", "main", "--template=")

    def run(self, *words: str) -> str:
        deaf = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        argv = ["git", "-C", str(self.place), *person, *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True, env={**os.environ, **deaf}).stdout

    def change(self, **files: bytes) -> git.Commit:
        for name in self.chance.sample(NAMES, 3):
            path = self.place / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = self.chance.choice(["gone", "link", "file", "file", "program"])
            path.unlink(missing_ok=True)
            if kind == "link":
                path.symlink_to("a.txt")
            elif kind != "gone":
                path.write_bytes(self.chance.randbytes(self.chance.randrange(2000)))
                path.chmod(0o755 if kind == "program" else 0o644)
        for name, content in {"always": b"here", **files}.items():
            (self.place / "app").mkdir(exist_ok=True)
            (self.place / "app" / name).write_bytes(content)
        self.run("add", "-A")
        self.run("commit", "-q", "--allow-empty", "-m", "change")
        commit = self.run("rev-parse", "HEAD").strip()
        return git.Commit(self.place, "app", commit, "main", "change", "2026-11-22T10:30:00Z")


def build(commit: git.Commit, cache: Path, **more: Any) -> artifact.Artifact:
    told = description.read(json.dumps({**APP, **more}))
    return artifact.build(commit, told, tools=TOOLS, cache=cache, version="0.1.0")


def test_it_is_what_the_commit_alone_gives(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", random.Random(11))
    for number in range(12):
        commit = tree.change()
        grown, alone = build(commit, tmp_path / "cache"), build(commit, tmp_path / f"cache{number}")
        assert grown.list_of_files == alone.list_of_files
        assert grown.tar.read_bytes() == alone.tar.read_bytes()
        assert {path.name for path in grown.directory.iterdir()} == {"app.tar", "files.txt", "manifest.json"}


def test_only_what_changed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree(tmp_path / "tree", random.Random(12))
    build(tree.change(), tmp_path / "cache")
    commit = tree.change(**{"one more": b"new"})
    base = increment.find(commit, description.read(json.dumps(APP)), tmp_path / "cache/artifacts/site")
    assert base
    assert "one more" in base.changed
    assert "always" not in base.changed


@pytest.mark.parametrize(
    "unsure",
    [
        {"description": {"build": {"commands": ["true"]}}},
        {"description": {"build": {"exclude": ["skip", "run"]}}},
        {"description": {"shared": ["media", "a"]}},
        {"files": {".gitattributes": b"*.txt export-subst\n"}},
        {"attributes": "*.txt export-subst\n"},
    ],
)
def test_where_a_file_can_differ_unseen_nothing_is_taken_over(tmp_path: Path, unsure: dict[str, Any]) -> None:
    tree = Tree(tmp_path / "tree", random.Random(13))
    build(tree.change(), tmp_path / "cache")
    if "attributes" in unsure:
        (tree.place / ".git/info").mkdir(exist_ok=True)
        (tree.place / ".git/info/attributes").write_text(unsure["attributes"])
    commit = tree.change(**unsure.get("files", {}))
    told = description.read(json.dumps({**APP, **unsure.get("description", {})}))
    assert increment.find(commit, told, tmp_path / "cache/artifacts/site") is None


def test_a_commit_that_is_gone_is_no_base(tmp_path: Path) -> None:
    build(Tree(tmp_path / "one", random.Random(14)).change(), tmp_path / "cache")
    commit = Tree(tmp_path / "two", random.Random(15)).change()
    assert increment.find(commit, description.read(json.dumps(APP)), tmp_path / "cache/artifacts/site") is None
