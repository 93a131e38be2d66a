"""Repositories that were damaged: each is told by a check or at the restore; no restore ends well with wrong data."""

import os
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect, source_restore
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from tests.conftest import Soak
from tests.support.filesets import KIND, FileSet

KINDS = ("flipped", "deleted", "stale", "another in its place", "cut", "swapped")
LATER_S = 60.0  # the catalogue is asked a little after the backup


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FileSet:
    """Two backups that have passed, and a copy of the repository from between them."""
    files, random = FileSet(tmp_path_factory.mktemp("damage")), Random(1)
    for number in range(20):
        path = files.roots[number % 2] / f"d{number % 3}" / f"f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(random.randbytes(random.randrange(1, 30_000)))
    for number in range(2):
        (files.roots[0] / "changed").write_text(f"{number}\n" * 50)
        record = files.take()
        assert record["result"] == "taken", record["reason"]
        told = collect.collect(files.works, of.moment(record["began_at"]) + LATER_S)
        assert not told["notes"]
        assert all(map(of.has_passed, told["entered"]))
        shutil.copytree(files.repository, files.place / f"after-{number}", symlinks=True)
    files.keep()
    return files


def segments(files: FileSet) -> list[Path]:
    return sorted((files.repository / "data").glob("*/*"), key=lambda path: int(path.name))


def targets(files: FileSet) -> list[Path]:
    """What holds the backups: the segments, the key, and the catalogue."""
    catalogue = [*(files.place / "archive/records").iterdir(), *(files.place / "archive/manifests").iterdir()]
    return [*segments(files), files.repository / "config", *sorted(catalogue)]


def damage(files: FileSet, kind: str, random: Random) -> str:
    """Damage a repository or its catalogue; return what was done."""
    path = random.choice(targets(files))
    name = str(path.relative_to(files.place))
    if kind == "flipped":
        data = bytearray(path.read_bytes())
        place = random.randrange(len(data))
        data[place] ^= random.randrange(1, 256)
        path.write_bytes(data)
        return f"byte {place} of {name} flipped"
    if kind == "cut":
        size = random.randrange(path.stat().st_size)
        os.truncate(path, size)
        return f"{name} cut to {size}"
    if kind == "deleted":
        path.unlink()
        return f"{name} deleted"
    if kind == "swapped":
        one, two = random.choice(
            [(a, b) for a, b in combinations(segments(files), 2) if a.read_bytes() != b.read_bytes()]
        )
        one.rename(path.parent / "between")
        two.rename(one)
        (path.parent / "between").rename(two)
        return f"{one.name} and {two.name} swapped"
    if kind == "stale":
        return stale(files, random)
    return another(files)


def stale(files: FileSet, random: Random) -> str:
    """Put an older copy in place: of all of the repository, or of what of it is data."""
    parts = random.choice([["."], ["data"], ["data", "config"]])
    for part in parts:
        target, source = files.repository / part, files.place / "after-0" / part
        if source.is_dir():
            shutil.rmtree(target)
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    return f"an older copy of {', '.join(parts)}"


def another(files: FileSet) -> str:
    """Delete the newest archive, and make another of its name that holds less."""
    works, name = files.source.engine(KIND), files.names()[-1]
    works.call("delete", works.named(name))
    works.create(name, [str(files.roots[0])])
    return f"another archive in the place of {name}"


@pytest.mark.soak
def test_soak_backup_damage(whole: FileSet, soak: Soak) -> None:
    """Of each kind as many."""
    random, found = soak.random(), Counter[str]()
    times = soak.times(sample=4, full=1000)
    wanted = {root: whole.snapshot(root) for root in whole.roots}
    for number in range(times):
        kind = KINDS[number % len(KINDS)]
        whole.again()
        done = damage(whole, kind, random)
        by_check = whole.looked()
        into = whole.place / "into"
        shutil.rmtree(into, ignore_errors=True)
        job = source_restore.restore(
            whole.source, KIND, whole.newest(), str(into), f"damage-{number}", lambda line: None
        )
        right = {root: whole.snapshot(Path(f"{into}{root}")) for root in whole.roots} == wanted
        assert job["result"] != "restored" or right, f"{done}: restored, and wrong"
        assert by_check or job["result"] != "restored", f"{done}: nobody saw it"
        found[f"{kind}: by check"] += bool(by_check)
        found[f"{kind}: at restore"] += job["result"] != "restored"
    soak.record(damaged=times, detected=times, wrong_restores=0, **{key: found[key] for key in sorted(found)})
