"""The table of requirements says which tests are there, in the requirements' order, and nothing that is not so."""

from pathlib import Path

import pytest

from ferryman import required
from ferryman.errors import Stop

PAGE = "before\n<!-- requirements: written by a command -->\nold\n<!-- end of requirements -->\nafter\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    wanted = "# What\n\n- **REL-2** Another.\n- **REL-10** Ten, not as in REL-99.\n- **SEC-1** Secrets.\n"
    (tmp_path / "docs" / "requirements.md").write_text(wanted)
    return tmp_path


def module(path: Path, said: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'"""A module.\n\nRequirements: {said}.\n"""\n')


def test_each_requirement_has_the_tests_that_name_it_or_is_said_to_have_none(root: Path) -> None:
    module(root / "tests" / "e2e" / "test_b.py", "REL-10, REL-2")
    module(root / "molecule" / "host" / "tests" / "test_a.py", "REL-10")
    page = required.page(PAGE, root)
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| REL-2 | `tests/e2e/test_b.py` |",
        "| REL-10 | `molecule/host/tests/test_a.py`, `tests/e2e/test_b.py` |",
        "| SEC-1 | no test yet |",
    ]
    assert "old" not in page
    assert required.page(page, root) == page


def test_what_is_no_requirement_is_named_with_its_module(root: Path) -> None:
    module(root / "tests" / "test_x.py", "REL-3")
    with pytest.raises(Stop, match=r"no such requirement: REL-3 in tests/test_x.py"):
        required.page(PAGE, root)


def test_a_page_without_a_place_for_them_is_told(root: Path) -> None:
    with pytest.raises(Stop, match="no place for requirements"):
        required.page("# Proof\n", root)
