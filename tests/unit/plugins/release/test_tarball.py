"""Promises of what travels: the members of a tar are found where they are, and a list of files can come as a change."""

import hashlib
import io
import random
import tarfile
from pathlib import Path

import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.module_utils.release import files
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import tarball

NAMES = ["a.txt", "a/b", "a/long/" + "n" * 120, "größe/ß", "z with blanks", "run"]


def made(tmp_path: Path, names: list[str]) -> tuple[Path, dict[str, files.Entry], dict[str, bytes]]:
    contents = {name: random.Random(name).randbytes(100 * index) for index, name in enumerate(names)}
    entries = {
        name: files.Entry(name, "0755" if name == "run" else "0644", hashlib.sha256(content).hexdigest(), len(content))
        for name, content in contents.items()
    }
    entries["link"] = files.Entry("link", "0777", "->a.txt", 0)
    entries = dict(sorted(entries.items()))
    tar = tmp_path / "app.tar"
    members = [
        tarball.member(f"app/{name}", int(entry.mode, 8), contents[name])
        for name, entry in entries.items()
        if not entry.link
    ]
    tar.write_bytes(b"".join([*members, tarball.END]))
    return tar, entries, contents


@pytest.mark.parametrize("wanted", [set(), {"a/b"}, {"größe/ß", "z with blanks"}, set(NAMES)])
def test_what_is_picked_is_a_tar_of_just_that(tmp_path: Path, wanted: set[str]) -> None:
    tar, entries, contents = made(tmp_path, NAMES)
    picked = b"".join([*tarball.pick(tar, entries, wanted), tarball.END])
    with tarfile.open(fileobj=io.BytesIO(picked)) as archive:
        found = {}
        for member in archive:
            stream = archive.extractfile(member)
            assert stream
            found[member.name.removeprefix("app/")] = (member.mode, stream.read())
    assert found == {name: (int(entries[name].mode, 8), contents[name]) for name in wanted}


def test_a_damaged_artifact_is_not_sent(tmp_path: Path) -> None:
    tar, entries, _ = made(tmp_path, NAMES)
    tar.write_bytes(tar.read_bytes()[:-3000])
    with pytest.raises(AnsibleError, match="damaged"):
        list(tarball.pick(tar, entries, set(NAMES)))


def test_a_list_of_files_comes_out_of_its_change() -> None:
    chance = random.Random(7)
    for _ in range(300):
        before, after = (
            files.dump({
                name: files.Entry(name, "0644", hashlib.sha256(bytes([chance.randrange(3)])).hexdigest(), 1)
                for name in chance.sample(NAMES, chance.randrange(len(NAMES) + 1))
            })
            for _ in range(2)
        )  # fmt: skip
        assert files.changed(before, files.change(before, after)) == after
