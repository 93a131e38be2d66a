"""The exchange of what a directory holds: wherever it is killed, what was there comes back whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import exchange
from hypothesis import given
from hypothesis import strategies as st

RUN = "20261126T000000Z-abcdef"
OLD = {"a": "old", "d/b": "old", "d/e/c": "old", "sites/one/share": "live", "sites/one/ledger": "old", "gone/x": "old"}
NEW = {"a": "new", "d/b": "new", "d/f/c": "new", "sites/one/ledger": "new", "sites/two/ledger": "new"}
LEFT_OUT = ["*/sites/*/share"]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def read(root: Path) -> dict[str, str]:
    found = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    return {name: text for name, text in found.items() if not name.startswith(".ferryman-")}


def laid_out(place: Path) -> Path:
    root = place / "root"
    write(root, OLD)
    write(Path(exchange.beside(str(root), exchange.NEW, RUN) + str(root)), NEW)
    return root


def test_an_exchange_leaves_what_is_left_out_and_comes_back_whole(tmp_path: Path) -> None:
    root = laid_out(tmp_path)
    exchange.swap(str(root), RUN, LEFT_OUT)
    assert read(root) == {**NEW, "sites/one/share": "live"}
    (root / "since").write_text("written since")
    assert exchange.unswap(str(root), RUN, LEFT_OUT)
    assert read(root) == OLD
    undone = Path(exchange.beside(str(root), exchange.UNDONE, RUN))
    assert (undone / "since").read_text() == "written since"
    assert exchange.unfinished(str(root)) == []


class Killed(BaseException):
    """The run ends here, as by kill -9: nothing after it is done."""


@given(st.integers(0, 25), st.integers(0, 25))
def test_wherever_an_exchange_and_its_way_back_are_killed_all_comes_back(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int
) -> None:
    root = laid_out(tmp_path_factory.mktemp("exchange"))
    rename = os.rename
    for left, act in ((first, exchange.swap), (second, exchange.unswap)):
        steps = iter(range(left))

        def one(here: str, there: str, steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise Killed
            rename(here, there)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(os, "rename", one)
            act(str(root), RUN, LEFT_OUT)
    while exchange.unswap(str(root), RUN, LEFT_OUT):
        pass
    assert read(root) == OLD
    assert exchange.unfinished(str(root)) == []
