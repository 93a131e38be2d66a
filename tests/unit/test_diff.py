"""What differs between two releases, on a screen: every section says something, and what is not known says so."""

from typing import Any

import pytest

from ferryman import diff
from ferryman.errors import Stop

LONG = "a subject that goes on and on, past what any screen of eighty columns can hold in one line"


def side(name: str, **more: Any) -> dict[str, Any]:
    return {"release": name, "commit": name[-7:], "subject": LONG, "who": "ada@laptop", "at": "2026-01-01", **more}


def told(**more: Any) -> dict[str, Any]:
    """A difference in everything, but for what a test says."""
    return {
        "environment": "prod",
        "app": "shop",
        "from": side("20260101T000000Z-aaaaaaa"),
        "to": side("20260102T000000Z-bbbbbbb"),
        "commits": {"known": True, "added": [], "dropped": [{"commit": "d" * 40, "subject": "Gone"}]},
        "notes": [LONG, "Short"],
        "files": {"added": [{"path": "a", "bytes": 1}], "changed": [], "removed": [{"path": "b", "bytes": 2}]},
        "configuration": [{"name": "env", "change": "changed", "diff": ["@@ -1 +1 @@", "-one", "+two"]}],
        "migrations": {"from": "1", "to": "2", "added": ["migrations/2"], "changed": [], "removed": []},
        "unknown": {},
        **more,
    }  # fmt: skip


NOTHING: dict[str, Any] = {
    "commits": {"known": True, "added": [], "dropped": []},
    "notes": [],
    "files": {"added": [], "changed": [], "removed": []},
    "configuration": [],
    "migrations": {"from": "", "to": "", "added": [], "changed": [], "removed": []},
}


def section(page: str, title: str) -> list[str]:
    blocks = {block.split("\n")[0]: block.split("\n")[1:] for block in page.split("\n\n")}
    return [line.strip() for line in blocks[title]]


@pytest.mark.parametrize("more", [{}, NOTHING], ids=["all", "nothing"])
def test_every_section_says_something_and_fits_the_screen(more: dict[str, Any]) -> None:
    page = diff.page(told(**more))
    for title in ("Release notes", "Files", "Configuration", "Migrations"):
        assert section(page, title)
    assert max(map(len, page.splitlines())) <= 80


def test_what_differs_is_named() -> None:
    page = diff.page(told())
    assert section(page, "Release notes")[1:] == ["- Short", "no longer in it (1 commit):", "- ddddddd Gone"]
    assert section(page, "Configuration") == ["~ env", "-one", "+two"]
    assert section(page, "Migrations") == ["the schema goes from 1 to 2", "+ migrations/2"]
    assert "1 added (1 B), 0 changed (0 B), 1 removed (2 B)" in section(page, "Files")


def test_what_is_not_known_is_not_called_the_same() -> None:
    page = diff.page(told(**NOTHING, unknown={"commits": "gone", "files": "gone", "configuration": "no host keeps it"}))
    assert "not known: configuration: no host keeps it" in page
    for title in ("Release notes", "Files", "Configuration"):
        assert section(page, title) == ["not known"], title


def test_a_host_that_was_not_reached_is_named() -> None:
    page = diff.page(told(unreachable={"web2": "web2 cannot be reached: no route\nmore"}))
    assert "not asked: web2 cannot be reached: no route\n" in page


def test_without_a_release_it_says_what_to_name() -> None:
    with pytest.raises(Stop, match="no release named"):
        diff.between("prod", app="", one="", other="")


def test_a_hotfix_is_called_one() -> None:
    page = diff.page(told(to=side("20260102T000000Z-bbbbbbb", hotfix=True)))
    assert page.count("hotfix") == 1
    assert "2026-01-01, hotfix)" in " ".join(page.split())
