"""Staging: only what is missing travels, what arrives is what was built, and a release is there whole or not at all."""

import errno
import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import chain, files, stage
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from tests.support.placed import Placed

ONE, TWO = "20261122T103000Z-1111111", "20261122T113000Z-2222222"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(stage, "HEADROOM", 0)
    return Host(Placed("tiny", place=tmp_path), run="run", token=1)


def listed(tree: dict[str, bytes | str], executable: tuple[str, ...] = ()) -> str:
    entries = {}
    for path, content in tree.items():
        if isinstance(content, str):
            entries[path] = files.Entry(path, "0777", f"->{content}", 0)
        else:
            mode = "0755" if path in executable else "0644"
            entries[path] = files.Entry(path, mode, hashlib.sha256(content).hexdigest(), len(content))
    return files.dump(entries)


def body(members: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return io.BytesIO(buffer.getvalue())


WHEELS = {"tiny_pkg-1.0+local-py3-none-any.whl": hashlib.sha256(b"x").hexdigest()}


def request(text: str, release: str = ONE, base: str = "", **more: Any) -> dict[str, Any]:
    runtime = {"kind": "python", "wheels": WHEELS}
    record = {"id": release, "digest": files.digest(text), "environment_key": "", "manifest": {"runtime": runtime}}
    asked = {"release": release, "record": record, "files": text, "base": base, "sent_bytes": 0}
    return {**asked, "launchers": {"web": "#!/bin/sh\n"}, "shared": [], **more}


def put(
    host: Host, tree: dict[str, bytes | str], sent: dict[str, bytes], release: str = ONE, base: str = ""
) -> dict[str, Any]:
    return stage.stage(
        host, request(listed(tree), release, base), body({f"app/{name}": data for name, data in sent.items()})
    )


def read(host: Host, release: str = ONE) -> dict[str, bytes | str]:
    root = host.site.release(release) / "app"
    found: dict[str, bytes | str] = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(root))] = str(path.readlink())
        elif path.is_file():
            found[str(path.relative_to(root))] = path.read_bytes()
    return found


def nothing_staged(host: Host, release: str = ONE) -> bool:
    return not host.site.release(release).exists() and not list((host.site.root / "incoming").glob("*"))


def test_a_first_release_is_what_was_sent(host: Host) -> None:
    tree: dict[str, bytes | str] = {"a": b"1", "deep/er/b c": b"2", "link": "deep/er"}
    assert put(host, tree, {"a": b"1", "deep/er/b c": b"2"}) == {"missing": []}
    assert read(host) == tree
    assert (host.site.release(ONE) / "files.txt").read_text() == listed(tree)
    assert stat.S_IMODE((host.site.release(ONE) / "run" / "web").stat().st_mode) == 0o755
    steps = [(line["step"], line["result"]) for line in chain.read(host.site.state / "journal.jsonl").lines]
    assert steps == [("stage", "started"), ("stage", "done")]


def test_only_what_changed_travels_and_the_rest_is_shared_with_the_base(host: Host) -> None:
    put(host, {"a": b"1", "b": b"2"}, {"a": b"1", "b": b"2"})
    assert put(host, {"a": b"1", "b": b"new"}, {"b": b"new"}, TWO, ONE) == {"missing": []}
    assert read(host, TWO) == {"a": b"1", "b": b"new"}
    assert read(host, ONE) == {"a": b"1", "b": b"2"}
    assert (host.site.release(ONE) / "app/a").samefile(host.site.release(TWO) / "app/a")


def test_a_mode_that_changed_does_not_reach_the_base(host: Host) -> None:
    put(host, {"a": b"1"}, {"a": b"1"})
    text = listed({"a": b"1"}, executable=("a",))
    stage.stage(host, request(text, TWO, ONE), body({"app/a": b"1"}))
    modes = [stat.S_IMODE((host.site.release(name) / "app/a").stat().st_mode) for name in (ONE, TWO)]
    assert modes == [0o644, 0o755]


def test_what_the_base_has_lost_is_asked_for(host: Host) -> None:
    put(host, {"a": b"1", "b": b"2"}, {"a": b"1", "b": b"2"})
    (host.site.release(ONE) / "app/a").unlink()
    assert put(host, {"a": b"1", "b": b"3"}, {"b": b"3"}, TWO, ONE) == {"missing": ["a"]}
    assert nothing_staged(host, TWO)
    assert put(host, {"a": b"1", "b": b"3"}, {"a": b"1", "b": b"3"}, TWO, ONE) == {"missing": []}


def test_staging_again_does_nothing(host: Host) -> None:
    put(host, {"a": b"1"}, {"a": b"1"})
    before = (host.site.release(ONE) / "app/a").stat().st_ino
    assert put(host, {"a": b"1"}, {}) == {"missing": []}
    assert (host.site.release(ONE) / "app/a").stat().st_ino == before


def test_what_an_earlier_try_left_behind_is_no_part_of_it(host: Host) -> None:
    left = host.site.root / "incoming" / ONE / "app"
    left.mkdir(parents=True)
    (left / "planted").write_text("x")
    put(host, {"a": b"1"}, {"a": b"1"})
    assert read(host) == {"a": b"1"}


@pytest.mark.parametrize(
    "sent", [{"a": b"2"}, {"a": b""}, {"a": b"1", "b": b"x"}, {"../a": b"1"}, {"/a": b"1"}, {"link": b"x"}]
)
def test_what_is_not_as_it_was_built_is_refused(host: Host, sent: dict[str, bytes]) -> None:
    with pytest.raises(Failed, match=r"damaged|not in the artifact"):
        put(host, {"a": b"1", "link": "a"}, sent)
    assert nothing_staged(host)


def test_a_list_of_files_that_was_changed_is_refused(host: Host) -> None:
    asked = request(listed({"a": b"1"}))
    asked["files"] = listed({"a": b"2"})
    with pytest.raises(Failed, match="does not match the artifact's digest"):
        stage.stage(host, asked, body({"app/a": b"2"}))
    assert nothing_staged(host)


@pytest.mark.parametrize("path", ["../../out", "/etc/out", "a/../../out"])
def test_a_path_that_leaves_the_release_is_refused(host: Host, path: str) -> None:
    sha = hashlib.sha256(b"x").hexdigest()
    with pytest.raises(ValueError, match="leaves the release"):
        stage.stage(host, request(f"0644 {sha} 1 {path}\n"), body({f"app/{path}": b"x"}))
    assert nothing_staged(host)


@pytest.mark.parametrize(
    "name", ["wheels//tmp/x.whl", "wheels/../x.whl", "wheels/0123456789abcdef/../../x.whl", "wheels/x.whl", "etc/x"]
)
def test_a_wheel_goes_to_its_environment_and_nowhere_else(host: Host, name: str) -> None:
    with pytest.raises(Failed, match="not in the artifact"):
        stage.stage(host, request(listed({})), body({name: b"x"}))
    assert not list(host.site.root.rglob("*.whl"))


def test_a_wheel_is_kept_for_its_environment(host: Host) -> None:
    name = "0123456789abcdef/tiny_pkg-1.0+local-py3-none-any.whl"
    stage.stage(host, request(listed({})), body({f"wheels/{name}": b"x"}))
    assert (host.site.root / "wheels" / name).read_bytes() == b"x"


def test_a_wheel_that_is_not_the_one_that_was_locked_is_refused_and_not_kept(host: Host) -> None:
    name = "0123456789abcdef/tiny_pkg-1.0+local-py3-none-any.whl"
    with pytest.raises(Failed, match="arrived damaged"):
        stage.stage(host, request(listed({})), body({f"wheels/{name}": b"y"}))
    assert not list(host.site.root.rglob("*.whl"))


KEY = "0123456789abcdef"


def of_node(tree: dict[str, bytes]) -> tuple[dict[str, Any], bytes]:
    """A request for a release of Node whose packages are `tree`, and the file that they travel in."""
    packed = body({f"node_modules/{name}": data for name, data in tree.items()}).read()
    asked = request(listed({"server.js": b"1"}))
    runtime = {"kind": "node", "modules": {"node_modules.tar.gz": hashlib.sha256(packed).hexdigest()}}
    asked["record"].update(environment_key=KEY, manifest={"runtime": runtime})
    return asked, packed


def test_a_tree_of_node_lies_beside_the_releases_that_share_it(host: Host) -> None:
    asked, packed = of_node({"a/package.json": b"{}"})
    stage.stage(host, asked, body({"app/server.js": b"1", f"modules/{KEY}/node_modules.tar.gz": packed}))
    place = host.site.root / "environments" / KEY
    assert (place / "node_modules/a/package.json").read_bytes() == b"{}"
    assert (host.site.release(ONE) / "app/node_modules").resolve() == place / "node_modules"
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    shutil.rmtree(place / "node_modules")
    (place / ".complete").unlink()
    stage.stage(host, {**asked, "release": TWO}, body({"app/server.js": b"1"}))
    assert (place / "node_modules/a/package.json").exists(), "made again from what the host has kept"


def test_a_tree_of_node_that_is_not_what_was_built_is_refused_and_not_kept(host: Host) -> None:
    asked, packed = of_node({"a/package.json": b"{}"})
    for name, content in (("node_modules.tar.gz", packed + b"x"), ("other.tar.gz", packed), ("x.whl", packed)):
        with pytest.raises(Failed, match=r"damaged|not in the artifact"):
            stage.stage(host, asked, body({"app/server.js": b"1", f"modules/{KEY}/{name}": content}))
    assert nothing_staged(host)
    assert not [path for path in host.site.root.rglob("*") if path.is_file()]


def test_a_body_that_was_cut_off_stages_nothing(host: Host) -> None:
    data = os.urandom(100_000)  # does not pack, so that every cut is in the middle of it
    text, whole = listed({"a": data}), body({"app/a": data}).getvalue()
    for cut in (0, 10, len(whole) // 2, len(whole) - 20):
        with pytest.raises((Failed, tarfile.TarError, EOFError, gzip.BadGzipFile)):
            stage.stage(host, request(text), io.BytesIO(whole[:cut]))
        assert nothing_staged(host)


def test_too_little_space_is_said_before_anything_is_touched(host: Host) -> None:
    asked = request(listed({"a": b"1"}), sent_bytes=shutil.disk_usage(host.site.root.parent).total)
    with pytest.raises(Failed, match="MiB free, staging needs") as failed:
        stage.stage(host, asked, body({"app/a": b"1"}))
    assert failed.value.refused
    assert not host.site.root.exists()


def test_space_that_runs_out_leaves_nothing_behind(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    put(host, {"a": b"1"}, {"a": b"1"})
    monkeypatch.setattr(stage, "_save", full)
    with pytest.raises(Failed, match="no space left"):
        put(host, {"a": b"2"}, {"a": b"2"}, TWO, ONE)
    assert nothing_staged(host, TWO)
    assert read(host) == {"a": b"1"}


def test_a_check_says_what_it_would_do_and_does_nothing(host: Host) -> None:
    host.check = True
    assert put(host, {"a": b"1"}, {"a": b"1"}) == {"missing": []}
    assert host.changes == [f"{host.site.release(ONE)}/"]
    assert not host.site.root.exists()


def test_shared_directories_outlive_a_release(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    owned: list[str] = []
    monkeypatch.setattr(shutil, "chown", lambda path, user, group: owned.append(f"{path} {user} {group}"))
    for release in (ONE, TWO):
        stage.stage(host, request(listed({"a": b"1"}), release, shared=["media", "var/cache"]), body({"app/a": b"1"}))
        for name in ("media", "var/cache"):
            assert (host.site.release(release) / "app" / name).resolve() == host.site.root / "shared" / name
    assert f"{host.site.root}/shared/media app-tiny app-tiny" in owned
    assert stat.S_IMODE((host.site.root / "shared/media").stat().st_mode) == 0o750


def test_secrets_are_roots_alone_and_those_of_the_release_that_serves_stay(host: Host) -> None:
    assert stage.secrets(host, {"A": "planted-a", "B": "planted-b"}) == ["A", "B"]
    directory = host.site.settings / "secrets"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "A").stat().st_mode) == 0o600
    assert stage.changed_secrets(host, {"A": "planted-a", "B": "other", "C": "new"}) == ["B", "C"]
    assert stage.secrets(host, {"A": "planted-a"}) == []
    assert sorted(path.name for path in directory.iterdir()) == ["A", "B"], "it may be started again at any moment"
    assert "planted" not in str((host.changes, host.diffs))


def test_a_file_is_written_in_one_rename_and_only_when_it_differs(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert host.write(path, "one")
    before = path.stat().st_ino
    assert not host.write(path, "one")
    assert path.stat().st_ino == before
    assert host.write(path, "one", mode=0o600), "another mode is a change"
    assert host.write(path, "two", mode=0o600)
    assert [each["before"] for each in host.diffs] == ["", "one", "one"]
    assert [name.name for name in path.parent.iterdir()] == ["file"]


def test_a_file_that_was_damaged_by_hand_is_said(host: Host, tmp_path: Path) -> None:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.host import read_json

    for text in ("{", "[]", '{"format": 2}'):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(Failed, match=r"x\.json"):
            read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "none.json") == {}


def test_a_list_of_files_can_come_as_what_changed(host: Host) -> None:
    before, after = listed({"a": b"1", "b": b"2"}), listed({"a": b"1", "c": b"3"})
    stage.stage(host, request(before), body({"app/a": b"1", "app/b": b"2"}))
    asked = {**request(after, TWO, ONE, change=files.change(before, after)), "files": ""}
    assert stage.stage(host, asked, body({"app/c": b"3"})) == {"missing": []}
    assert read(host, TWO) == {"a": b"1", "c": b"3"}
    assert (host.site.release(TWO) / "files.txt").read_text() == after
