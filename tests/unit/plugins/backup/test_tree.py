"""What a tree of files holds: the same whether read from a disk or from an archive, and nothing changed unseen."""

import contextlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import tree
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from hypothesis import given
from hypothesis import strategies as st

BYTES = st.sampled_from([byte for byte in range(1, 256) if byte != ord("/")])
NAMES = st.lists(BYTES, min_size=1, max_size=12).map(bytes).filter(lambda name: name not in (b".", b".."))
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.binary(max_size=30), max_size=8)
HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)
HELD = st.builds(tree.Held, st.sampled_from(["0644", "0600", "0755"]), HASHES, st.integers(0, 10**12))
WORDS = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/."), min_size=1, max_size=6)
LISTS = st.dictionaries(st.lists(WORDS, min_size=1, max_size=4).map("/".join), HELD, min_size=1, max_size=5)


def make(root: Path, wanted: dict[tuple[bytes, ...], bytes]) -> None:
    """Write files by their path; one whose directory is a file already is left away."""
    root.mkdir()
    for parts, content in wanted.items():
        path = root.joinpath(*map(os.fsdecode, parts))
        with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def on_disk(root: Path) -> dict[str, object]:
    return tree.total(str(root), [(path, tree.read(path, found)) for path, found in tree.walk(str(root))])


@given(TREES)
def test_a_tree_of_any_names_is_the_same_on_disk_and_in_a_tar(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[tuple[bytes, ...], bytes]
) -> None:
    root = tmp_path_factory.mktemp("tree") / "root"
    make(root, wanted)
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        tar.add(root, arcname=str(root).lstrip("/"))
    out.seek(0)
    assert tree.total(str(root), tree.archived(out)) == on_disk(root)


def test_hard_links_symbolic_links_and_empty_directories_are_the_same_in_a_tar(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "empty").mkdir(parents=True)
    (root / "one").write_text("1")
    (root / "other").hardlink_to(root / "one")
    (root / "away").symlink_to("../nowhere at all")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.add(root, arcname=str(root).lstrip("/"))
    out.seek(0)
    assert tree.total(str(root), tree.archived(out)) == on_disk(root)
    assert on_disk(root)["files"] == 3


def replaced_by_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def exchanged(root: Path) -> None:
    (root / "a").rename(root / "t")
    (root / "b").rename(root / "a")
    (root / "t").rename(root / "b")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "a").write_bytes(b"12x45"),
    "one more byte": lambda root: (root / "a").write_bytes(b"123456"),
    "mode": lambda root: (root / "a").chmod(0o600),
    "mode of a directory": lambda root: (root / "d").chmod(0o700),
    "gone": lambda root: (root / "a").unlink(),
    "one more": lambda root: (root / "c").write_bytes(b""),
    "other name": lambda root: (root / "a").rename(root / "A"),
    "an empty directory": lambda root: (root / "e").mkdir(),
    "another target": lambda root: replaced_by_link(root / "l", "b"),
    "a link in a file's place": lambda root: replaced_by_link(root / "b", "a"),
    "two exchanged": exchanged,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_tree_changes_its_hash(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "a").write_bytes(b"12345")
    (root / "b").write_bytes(b"54321")
    (root / "l").symlink_to("a")
    before = on_disk(root)
    CHANGES[name](root)
    assert on_disk(root)["hash"] != before["hash"]


@given(LISTS, LISTS)
def test_two_lists_of_files_have_one_hash_only_if_they_are_equal(
    first: dict[str, tree.Held], other: dict[str, tree.Held]
) -> None:
    one, two = (tree.total("/r", [(f"/r/{path}", held) for path, held in each.items()]) for each in (first, other))
    assert (one["hash"] == two["hash"]) == (first == other)


STAMPS = st.tuples(st.integers(0, 10**10), st.integers(0, 3), st.integers(1, 3))


@given(STAMPS, st.one_of(st.none(), STAMPS), st.integers(0, 10**11))
def test_a_file_counts_as_untouched_only_with_its_stamp_and_well_after_its_last_change(
    before: tuple[int, int, int], after: tuple[int, int, int] | None, at_ns: int
) -> None:
    seen = tree.Seen("0644", "0" * 64, 1, *before, at_ns)
    if tree.is_settled(seen, after):
        assert after == before
        assert at_ns - before[0] > tree.GRAIN_NS


def test_what_a_restore_put_aside_and_what_is_left_out_is_not_walked(tmp_path: Path) -> None:
    for each in ("a/.ferryman-mine", ".ferryman-before-x/b", "sites/one/sets", "sites/one/ledger"):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_text(each)
    os.mkfifo(tmp_path / "pipe")
    found = {os.path.relpath(path, tmp_path) for path, _ in tree.walk(str(tmp_path), [f"{tmp_path}/sites/*/sets"])}
    assert found == {".", "a", "a/.ferryman-mine", "sites", "sites/one", "sites/one/ledger"}


def test_a_tar_that_was_cut_is_trouble() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("a")
        member.size = 5000
        tar.addfile(member, io.BytesIO(b"x" * 5000))
    with pytest.raises(Trouble):
        list(tree.archived(io.BytesIO(out.getvalue()[:3000])))


ROOTS = [
    (["/a", "/a/b"], "lies in /a"),
    (["a"], "no absolute path"),
    (["/"], "whole system"),
    (["/a", "/a"], "named twice"),
    (["/a/../b"], "no absolute path"),
    (["/a", "/ab"], ""),
]


@pytest.mark.parametrize(("roots", "said"), ROOTS)
def test_directories_that_cannot_be_restored_alone_are_refused(roots: list[str], said: str) -> None:
    assert said in "; ".join(tree.overlapping(roots))
    assert bool(tree.overlapping(roots)) == bool(said)


@pytest.mark.parametrize("blocks", range(20))
def test_a_tar_is_read_to_its_last_byte_wherever_its_end_falls(blocks: int) -> None:
    """What is behind the end may be a whole record: its writer would find a pipe closed that nobody reads."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for number in range(blocks):
            tar.addfile(tarfile.TarInfo(f"file-{number}"))
    out.seek(0)
    assert len(list(tree.archived(out))) == blocks
    assert out.read() == b""


def naive(into: Path, items: list[tuple[str, str, str]]) -> None:
    """Write items as borg does: one after the other, in the place of what is there, through whatever lies above."""
    for kind, path, target in items:
        place = into / path
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.is_symlink() or place.is_file():
                place.unlink()
            if kind == "d":
                place.mkdir(exist_ok=True)
            elif kind == "l":
                place.symlink_to(target)
            else:
                place.write_text("written")


PARTS = st.lists(st.sampled_from(["a", "b", ".."]), min_size=1, max_size=3).map("/".join)
ITEMS = st.lists(st.tuples(st.sampled_from("d-l"), PARTS, st.just("../out")), max_size=8)


@given(ITEMS)
def test_what_would_write_elsewhere_is_astray(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, str, str]]
) -> None:
    here = tmp_path_factory.mktemp("astray")
    (here / "into").mkdir()
    (here / "out").mkdir()
    chosen = [(kind, path, target if kind == "l" else "") for kind, path, target in items]
    naive(here / "into", chosen)
    if list((here / "out").iterdir()) or {path.name for path in here.iterdir()} != {"into", "out"}:
        assert tree.astray(chosen)


def test_links_and_second_names_that_stay_are_not_astray_and_others_are() -> None:
    whole = [("d", "srv", ""), ("-", "srv/one", ""), ("-", "srv/two", "srv/one"), ("l", "srv/away", "/etc/passwd")]
    assert tree.astray(whole) == []
    assert tree.astray([*whole, ("-", "srv/away/x", "")]) == ["srv/away/x lies behind the link srv/away"]
    assert tree.astray([("-", "two", "../one")]) == ["two is another name of ../one, which is no file in it"]
    assert tree.astray([("l", "a", "/etc"), ("-", "b", "a"), ("-", "b/x", "")]), "a second name of a link is a link"
    assert tree.astray([("l", "a", "/etc"), ("-", "./a/x", "")]), "the same path, written otherwise"
    assert tree.astray([("l", "a", "/etc"), ("-", "a//x", "")])
