"""An artifact: exactly the files of one commit, the same bytes whoever builds it; a clear word where that cannot be."""

import io
import json
import os
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import artifact, description, git
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtime import RUNTIMES

TOOLS = {"python": "3.11", "python_version": "3.11.2", "platform": "linux-x86_64", "libc": "glibc-2.36"}
TOLD = {"format": 1, "name": "site", "runtime": {"kind": "static"}}


def described(**more: Any) -> dict[str, Any]:
    return description.read(json.dumps({**TOLD, **more}))


class Source:
    """A repository that takes files and becomes artifacts."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(parents=True)
        self.run("init", "-q", "-b", "main", "--template=")

    def run(self, *words: str) -> str:
        person = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        deaf = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *person, *words], cwd=self.place, check=True, capture_output=True, env={**os.environ, **deaf}
        )
        return done.stdout.decode().strip()

    def commit(self, tree: dict[str, bytes | str], executable: tuple[str, ...] = ()) -> git.Commit:
        """Commit files; a text is the target of a link."""
        for path, content in tree.items():
            place = self.place / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                place.symlink_to(content)
            else:
                place.write_bytes(content)
                place.chmod(0o775 if path in executable else 0o664)
        self.run("add", "-A")
        self.run("commit", "-q", "--allow-empty", "-m", "files")
        return self.found()

    def found(self, path: str = ".") -> git.Commit:
        return git.Commit(self.place, path, self.run("rev-parse", "HEAD"), "main", "files", "2026-11-22T10:30:00Z")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "source")


def build(commit: git.Commit, cache: Path, **more: Any) -> artifact.Artifact:
    return artifact.build(commit, described(**more), tools=TOOLS, cache=cache, version="0.1.0")


def packed(built: artifact.Artifact) -> dict[str, tuple[int, bytes]]:
    with tarfile.open(built.tar) as archive:
        return {m.name: (m.mode, (archive.extractfile(m) or io.BytesIO()).read()) for m in archive}


def test_it_holds_the_commit_and_nothing_else(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"index.html": b"hi", "bin/run": b"#!/bin/sh\n", "here": "bin/run"}, executable=("bin/run",))
    (source.place / "index.html").write_text("not committed")
    built = build(commit, tmp_path / "cache")
    entries = files.load(built.list_of_files)
    assert {path: (entry.mode, entry.link) for path, entry in entries.items()} == {
        "index.html": ("0644", ""),
        "bin/run": ("0755", ""),
        "here": ("0777", "bin/run"),
    }
    assert packed(built) == {"app/index.html": (0o644, b"hi"), "app/bin/run": (0o755, b"#!/bin/sh\n")}
    assert built.manifest["digest"] == files.digest(built.list_of_files)
    assert (built.manifest["files"], built.manifest["bytes"], built.manifest["dirty"]) == (3, 12, False)


def test_equal_trees_have_equal_digests_wherever_they_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree: dict[str, bytes | str] = {"b/ü x.txt": b"line\n", "a": b"", ".hidden": b"h", "link": "b"}
    one = Source(tmp_path / "one").commit(tree)
    two = Source(tmp_path / "two")
    two.commit({"other": b"first"})
    two.run("rm", "-q", "other")
    before = os.umask(0o077)
    try:
        second = two.commit(tree)
        crlf = tmp_path / "gitconfig"
        crlf.write_text("[core]\n\tautocrlf = true\n[tar]\n\tumask = 0077\n")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(crlf))
        there = build(second, tmp_path / "cache2")
    finally:
        os.umask(before)
    here = build(one, tmp_path / "cache1")
    assert one.id != second.id
    assert here.manifest["digest"] == there.manifest["digest"]
    assert here.tar.read_bytes() == there.tar.read_bytes()


def test_what_is_excluded_or_shared_is_not_packed(source: Source, tmp_path: Path) -> None:
    names = ["app.py", "tests/a.py", "docs/x.md", "a.pyc", "deep/b.pyc", "media/keep", "mediator", "testsuite"]
    commit = source.commit(dict.fromkeys(names, b"x"))
    built = build(commit, tmp_path / "cache", build={"exclude": ["tests", "docs/", "*.pyc"]}, shared=["media"])
    assert set(files.load(built.list_of_files)) == {"app.py", "mediator", "testsuite"}


def test_a_subdirectory_is_an_application_of_its_own(source: Source, tmp_path: Path) -> None:
    source.commit({"README": b"top", "apps/one/page": b"1", "apps/two/page": b"2"})
    assert set(files.load(build(source.found("apps/one"), tmp_path / "cache").list_of_files)) == {"page"}


def test_an_equal_artifact_is_built_once(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"a": b"1"})
    first = build(commit, tmp_path / "cache")
    made = first.directory.stat().st_mtime_ns
    assert build(commit, tmp_path / "cache").directory.stat().st_mtime_ns == made
    assert not list(first.directory.parent.glob(".build-*"))


def test_half_an_artifact_is_never_taken_for_one(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"a": b"1"})
    built = build(commit, tmp_path / "cache")
    whole = built.tar.read_bytes()
    (built.directory / "manifest.json").unlink()  # what a build leaves that was cut off
    built.tar.write_bytes(whole[:100])
    assert build(commit, tmp_path / "cache").tar.read_bytes() == whole


def test_what_another_run_builds_or_forgets_at_the_same_time_is_none_of_this_ones_business(
    source: Source, tmp_path: Path
) -> None:
    others = tmp_path / "cache" / "artifacts" / "another"
    (others / ".build-x").mkdir(parents=True)
    (others / ".build-x" / "manifest.json").write_text("{")  # it is being written
    (others / "0123456789ab-c").mkdir()  # it is being removed
    build(source.commit({"a": b"1"}), tmp_path / "cache")
    assert len(list(others.iterdir())) == 2


def test_applications_are_built_at_the_same_time_in_one_place_and_each_keeps_its_packages(tmp_path: Path) -> None:
    def grow(name: str) -> None:
        source = Source(tmp_path / name)
        for number in range(artifact.ARTIFACTS_KEPT + 4):
            commit = source.commit({"requirements.txt": b"", "number": f"{name} {number}".encode()})
            told = described(name=name, runtime={"kind": "python", "version": "3.11"}, processes=RUN)
            built = artifact.build(commit, told, tools=TOOLS, cache=tmp_path / "cache", version="0.1.0")
            assert built.manifest["runtime"]["wheels"] == {}
            assert built.tar.is_file()

    with ThreadPoolExecutor(3) as runs:
        list(runs.map(grow, ("one", "two", "three")))


def test_a_build_packs_what_its_commands_made(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"src": b"hello", "abs": "/etc/hostname"})
    told = {"commands": ["mkdir dist && tr a-z A-Z <src >dist/page", "ln -s page dist/link"], "root": "dist"}
    built = build(commit, tmp_path / "cache", build=told)
    assert packed(built) == {"app/page": (0o644, b"HELLO")}
    assert files.load(built.list_of_files)["link"].link == "page"
    assert {path.name for path in built.directory.iterdir()} == {"app.tar", "files.txt", "manifest.json"}


def test_a_build_that_fails_says_so_and_leaves_nothing(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"a": b"1"})
    with pytest.raises(AnsibleError, match=r"(?s)'echo no luck; exit 3' failed \(3\).*no luck"):
        build(commit, tmp_path / "cache", build={"commands": ["echo no luck; exit 3"]})
    with pytest.raises(AnsibleError, match="'dist' is no directory"):
        build(commit, tmp_path / "cache", build={"root": "dist"})
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_submodules_are_refused_by_name(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"a": b"1"})
    source.run("update-index", "--add", "--cacheinfo", f"160000,{commit.id},vendor/library")
    source.run("commit", "-q", "-m", "with a submodule")
    with pytest.raises(AnsibleError, match="vendor/library"):
        build(source.found(), tmp_path / "cache")


def test_a_pointer_of_lfs_is_refused_by_name(source: Source, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    commit = source.commit({"logo.png": pointer, "tests/big": pointer})
    with pytest.raises(AnsibleError, match=r"logo\.png is a Git LFS pointer"):
        build(commit, tmp_path / "cache", build={"exclude": ["tests"]})


@pytest.mark.parametrize("name", ["line\nbreak", "bell\x07"])
def test_a_name_that_cannot_be_listed_is_refused(source: Source, tmp_path: Path, name: str) -> None:
    commit = source.commit({name: b"x"})
    with pytest.raises(AnsibleError, match=r"control character.*build\.exclude"):
        build(commit, tmp_path / "cache")


def test_a_name_that_is_not_utf_8_is_refused(source: Source, tmp_path: Path) -> None:
    (source.place / os.fsdecode(b"caf\xe9")).write_text("x")
    commit = source.commit({})
    with pytest.raises(AnsibleError, match="not UTF-8"):
        build(commit, tmp_path / "cache")


def test_the_digest_of_migrations_follows_their_files_alone(source: Source, tmp_path: Path) -> None:
    told = {"migrations": {"command": "up", "paths": ["migrations"]}}
    first = build(source.commit({"migrations/1": b"1", "page": b"1"}), tmp_path / "cache", **told)
    other = build(source.commit({"page": b"2"}), tmp_path / "cache", **told)
    third = build(source.commit({"migrations/2": b"2"}), tmp_path / "cache", **told)
    assert first.manifest["migrations"] == other.manifest["migrations"] != third.manifest["migrations"]


def test_a_file_can_be_what_migrations_depend_on(source: Source, tmp_path: Path) -> None:
    told = {"migrations": {"command": "up", "paths": ["uv.lock"]}}
    first = build(source.commit({"uv.lock": b"1", "uv.lock.old": b"1"}), tmp_path / "cache", **told)
    other = build(source.commit({"uv.lock.old": b"2"}), tmp_path / "cache", **told)
    third = build(source.commit({"uv.lock": b"2"}), tmp_path / "cache", **told)
    assert first.manifest["migrations"] == other.manifest["migrations"] != third.manifest["migrations"]


NODE = {"node": "18", "node_version": "18.20.4", "platform": "linux-x86_64", "libc": "glibc-2.36"}
VENDORED: dict[str, bytes | str] = {"server.js": b"1", "node_modules/a/index.js": b"1", "lib/node_modules/b.js": b"1"}


def build_node(commit: git.Commit, cache: Path, **told: Any) -> artifact.Artifact:
    described_ = described(runtime={"kind": "node"}, processes={"web": {"kind": "web", "command": "run"}}, **told)
    return artifact.build(commit, described_, tools=NODE, cache=cache, version="0.1.0", fetch=False)


def test_packages_that_are_committed_without_a_lock_travel_as_all_that_is_committed(
    source: Source, tmp_path: Path
) -> None:
    built = build_node(source.commit(VENDORED), tmp_path / "cache")
    assert sorted(packed(built)) == ["app/lib/node_modules/b.js", "app/node_modules/a/index.js", "app/server.js"]
    assert built.manifest["runtime"]["environment"] == "", "nothing is linked over them"


def test_packages_below_what_is_packed_are_committed_too(source: Source, tmp_path: Path) -> None:
    commit = source.commit({f"server/{path}": content for path, content in VENDORED.items()})
    built = build_node(commit, tmp_path / "cache", build={"root": "server"})
    assert "app/node_modules/a/index.js" in packed(built)


def test_a_lock_takes_the_place_of_packages_that_are_committed_beside_it(source: Source, tmp_path: Path) -> None:
    first = build_node(source.commit(VENDORED), tmp_path / "cache")
    lock = json.dumps({"packages": {"": {}, "node_modules/a": {"version": "1.0.0", "integrity": "sha512-x"}}}).encode()
    built = build_node(source.commit({"package.json": b"{}", "package-lock.json": lock}), tmp_path / "cache")
    own = {"app/lib/node_modules/b.js", "app/package-lock.json", "app/package.json", "app/server.js"}
    assert set(packed(built)) == own, "also where it grows from an artifact that holds them"
    source.run("rm", "-q", "package.json", "package-lock.json")
    again = build_node(source.commit({}), tmp_path / "cache")
    assert packed(again) == packed(first)


def test_packages_that_a_build_leaves_behind_are_no_part_of_the_artifact(source: Source, tmp_path: Path) -> None:
    commands = ["mkdir -p node_modules/tool && touch node_modules/tool/index.js"]
    built = build_node(source.commit({"server.js": b"1"}), tmp_path / "cache", build={"commands": commands})
    assert sorted(packed(built)) == ["app/server.js"]


def test_hosts_that_cannot_run_it_are_refused_before_anything_is_built(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"server.js": b"1"})
    web = {"web": {"kind": "web", "command": "node server.js"}}
    told = described(runtime={"kind": "node", "version": "20"}, processes=web)
    tools = {"node": "18", "node_version": "18.20.4", "platform": "linux-x86_64", "libc": "glibc-2.36"}
    with pytest.raises(AnsibleError, match=r"wants Node 20 \(runtime\.version\), the hosts have 18\.20\.4"):
        artifact.build(commit, told, tools=tools, cache=tmp_path / "cache", version="0.1.0")
    assert not (tmp_path / "cache").exists()


RUN = {"web": {"kind": "web", "command": "run"}}


@pytest.mark.parametrize(("lock", "lacks"), [(b"flask==3.1 --hash=sha256:0\n", True), (b"# nothing\n", False)])
def test_without_fetching_what_is_not_here_is_said_and_left_out(
    source: Source, tmp_path: Path, lock: bytes, lacks: bool
) -> None:
    """No registry could answer for this lock: if anything were fetched, the build would fail."""
    commit = source.commit({"requirements.txt": lock})
    told = described(runtime={"kind": "python"}, processes=RUN)
    built = artifact.build(commit, told, tools=TOOLS, cache=tmp_path / "cache", version="0.1.0", fetch=False)
    assert built.lacks_packages is lacks
    assert ("wheels" not in built.manifest["runtime"]) is lacks
    assert built.manifest["runtime"]["environment"]


def test_without_fetching_hosts_may_lack_the_runtime_that_provisioning_installs(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"server.js": b"1"})
    told = described(runtime={"kind": "node", "version": "20"}, processes=RUN)
    bare = {"node": "", "node_version": "", "platform": "linux-x86_64", "libc": "glibc-2.36"}
    built = artifact.build(commit, told, tools=bare, cache=tmp_path / "cache", version="0.1.0", fetch=False)
    assert built.manifest["runtime"]["environment"] == ""
    with pytest.raises(AnsibleError, match="wants Node 20"):
        artifact.build(commit, told, tools=bare, cache=tmp_path / "cache", version="0.1.0")


def test_the_first_line_of_a_lock_that_leaves_things_open_is_told_wherever_the_lock_is(source: Source) -> None:
    commit = source.commit({"requirements.txt": b"# Ours\nflask\ngunicorn\n", "deps/all.txt": b"flask==3.1\n"})
    found = RUNTIMES["python"].loose(commit, described(runtime={"kind": "python"}, processes=RUN))
    assert [each[:2] for each in found] == [("requirements.txt", 2)]
    assert "flask has no exact version, and 1 more lines are like that; `uv pip compile" in found[0][2]
    named = described(runtime={"kind": "python"}, processes=RUN, build={"lock": "deps/all.txt"})
    assert [each[:2] for each in RUNTIMES["python"].loose(commit, named)] == [("deps/all.txt", 1)]
    assert not RUNTIMES["binary"].loose(commit, described(runtime={"kind": "binary"}, processes=RUN))


def test_a_commit_that_is_gone_is_said(source: Source, tmp_path: Path) -> None:
    commit = source.commit({"a": b"1"})
    gone = git.Commit(commit.repository, ".", "0" * 40, "main", "", "")
    with pytest.raises(AnsibleError, match="git "):
        build(gone, tmp_path / "cache")
