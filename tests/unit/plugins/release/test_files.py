"""The list of files: the same for equal trees, read back as it was written, and never a way out of its directory."""

import hashlib
import re
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from hypothesis import given
from hypothesis import strategies as st

DIGEST = hashlib.sha256(b"").hexdigest()
parts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="/\u2028\u2029"), min_size=1
).filter(lambda part: part not in (".", ".."))
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)
targets = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


def entry(path: str, mode: str = "0644", content: str = DIGEST, size: int = 0) -> files.Entry:
    return files.Entry(path, mode, content, size)


@given(st.dictionaries(paths, st.one_of(st.none(), targets)))
def test_what_was_written_is_read_back(tree: dict[str, str | None]) -> None:
    entries = {
        path: entry(path, size=len(path)) if target is None else entry(path, "0777", f"->{target}")
        for path, target in tree.items()
    }
    below = [path for path in tree if any(path.startswith(f"{link}/") for link, target in tree.items() if target)]
    if below:
        with pytest.raises(ValueError, match="below a link"):
            files.load(files.dump(entries))
    else:
        assert files.load(files.dump(entries)) == entries


def test_names_that_people_give_are_carried() -> None:
    names = [
        "a b",
        " lead",
        "trail ",
        "a 0 b",
        "->x",
        "ü/ß",
        "q\"uo'te",
        "$HOME",
        "%s",
        "back\\slash",
        "0644 x 1 y",
        "#c",
    ]
    entries = {name: entry(name) for name in names}
    entries["link"] = entry("link", "0777", "->over there/a 0 b")
    entries["a 0 link"] = entry("a 0 link", "0777", "->50%41 of it")
    assert files.load(files.dump(entries)) == entries


def test_a_link_to_a_plain_name_reads_as_it_is() -> None:
    assert files.dump({"l": entry("l", "0777", "->../a/ü.txt")}) == "0777 ->../a/%C3%BC.txt 0 l\n"
    assert files.dump({"l": entry("l", "0777", "->../a-b_c.d/e")}) == "0777 ->../a-b_c.d/e 0 l\n"


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "\x1b[2J", "a\0b", "", "\udcff"])
def test_names_that_a_line_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name"):
        files.dump({name: entry(name)})


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", ".", ".."])
def test_a_path_that_leaves_its_directory_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the release"):
        files.load(f"0644 {DIGEST} 0 {path}\n")


def test_nothing_lies_below_a_link() -> None:
    text = files.dump({"out": entry("out", "0777", "->/etc"), "out/passwd": entry("out/passwd")})
    with pytest.raises(ValueError, match="lies below a link"):
        files.load(text)


@pytest.mark.parametrize(
    "line", ["", "x", "0644 short 0 a", f"0644 {DIGEST} -1 a", f"644 {DIGEST} 0 a", f"0644 {DIGEST} 0 "]
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=re.escape("is no line")):
        files.load(f"{line}\n")


def test_the_order_of_making_does_not_show() -> None:
    one = {name: entry(name) for name in ("b", "a", "c")}
    assert files.dump(one) == files.dump(dict(sorted(one.items())))
    assert files.digest(files.dump(one)) == hashlib.sha256(files.dump(one).encode()).hexdigest()


def test_what_differs_is_named(tmp_path: Path) -> None:
    for name in ("same", "changed", "longer", "mode", "gone", "now-a-link"):
        (tmp_path / name).write_text("text")
        (tmp_path / name).chmod(0o644)
    (tmp_path / "link").symlink_to("same")
    (tmp_path / "moved").symlink_to("same")
    sha = hashlib.sha256(b"text").hexdigest()
    entries = {
        name: entry(name, content=sha, size=4) for name in ("same", "changed", "longer", "mode", "gone", "now-a-link")
    }
    entries |= {"link": entry("link", "0777", "->same"), "moved": entry("moved", "0777", "->other")}
    (tmp_path / "changed").write_text("txet")
    (tmp_path / "longer").write_text("text and more")
    (tmp_path / "mode").chmod(0o755)
    (tmp_path / "gone").unlink()
    (tmp_path / "now-a-link").unlink()
    (tmp_path / "now-a-link").symlink_to("same")
    assert set(files.differing(tmp_path, entries)) == set(entries) - {"same", "link"}


@given(st.dictionaries(paths, st.integers(0, 3)), st.dictionaries(paths, st.integers(0, 3)), st.data())
def test_a_list_becomes_another_by_what_changed(old: dict[str, int], new: dict[str, int], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(sorted(old)))) if old else []
    before, after = (
        files.dump({path: entry(path, size=size) for path, size in tree.items()})
        for tree in (old, {**{path: old[path] for path in kept}, **new})
    )
    how = files.change(before, after)
    assert files.changed(before, how) == after
    assert before != after or how == {"lines": [], "gone": []}
