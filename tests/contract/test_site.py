"""The documentation's site: it is built from every page, each is reached, and no link of it is dead."""

from pathlib import Path

import pytest
from tests.support.pages import pages

from ferryman import paths, site
from ferryman.errors import Stop

ROOT = paths.CHECKOUT


def test_the_site_has_every_page_reached_by_links_and_none_of_them_dead(tmp_path: Path) -> None:
    out = tmp_path / "site"
    site.build(ROOT, out)  # a warning, a dead link, a lost page: each is a Stop
    wanted = {page.relative_to(ROOT).with_suffix(".html") for page in pages()}
    assert wanted <= {page.relative_to(out) for page in site.pages(out)}
    home = site.Reader(out / "index.html")
    assert {"docs/guides/first-server.html", "docs/reference/README.html", "CONTRIBUTING.html"} <= set(home.links)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with two pages, and the project's way to build them."""
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "site"):
        (tmp_path / "docs" / name).symlink_to(ROOT / "docs" / name)
    (tmp_path / "docs" / "README.md").write_text("# Pages\n\n## Guides\n\n- [One](one.md): a guide\n")
    (tmp_path / "docs" / "one.md").write_text("# One\n\n[home](../README.md#try-it)\n")
    (tmp_path / "README.md").write_text("# Home\n\n## Try it\n\n[Pages](docs/README.md)\n")
    return tmp_path


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("two.md", "two.md"),
        ("one.md#nowhere", "nowhere"),
        ("https://nowhere", "https://nowhere: not an address"),
    ],
)
def test_a_dead_link_stops_the_building_and_is_named(small: Path, link: str, why: str) -> None:
    with (small / "docs" / "one.md").open("a") as page:
        page.write(f"\n[there]({link})\n")
    with pytest.raises(Stop, match=why):
        site.build(small, small / "out")


def test_a_page_that_no_link_leads_to_stops_the_building(small: Path) -> None:
    (small / "docs" / "two.md").write_text("# Two\n")
    with pytest.raises(Stop, match=r"docs/two\.html: no link leads to it"):
        site.build(small, small / "out")


def test_the_sidebar_shows_what_the_lists_of_the_pages_say() -> None:
    text = "# All\n\nwords\n\n## Guides\n\n- [One](guides/one.md): first\n- [Two](../TWO.md)\n\n## Nothing\n\nwords\n"
    assert site.navigation(text) == [("Guides", ["guides/one", "../TWO"])]
    assert ":caption: Guides\n\n/docs/guides/one\n/TWO\n" in site.tree("README", "docs/README.md", text)
