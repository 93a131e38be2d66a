"""The report of a deploy in a browser: on a phone and on a desktop, in daylight and in the dark.

Requirements: REL-4, INC-3.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page
from tests.support.browser import chromium

from ferryman import paths

sys.path.insert(0, str(paths.CHECKOUT / ".ansible" / "collections"))

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report
from tests.support import canary_looks

LONG = "a-branch-with-a-name-that-goes-on-and-on-without-any-place-to-break-a-line-" * 2
RUNS = {
    "good": canary_looks.looks(canary_looks.HEALTHY),
    "bad": canary_looks.looks(canary_looks.FAILING),
    "quiet": canary_looks.looks(canary_looks.QUIET),
}
WIDTHS = {"phone": 390, "desktop": 1280}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
READABLE = 4.5  # WCAG 2.2, 1.4.3: the least contrast of text
SMALLEST_PX = 12
# Of each element with text of its own: the text, its size, and the contrast with what lies behind it.
SEEN = """() => {
  const linear = part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const own = element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  const read = [...document.querySelectorAll("main *")].filter(element => own(element) && !element.closest("svg"));
  return read.map(element => {
    const style = getComputedStyle(element), [a, b] = [light(numbers(style.color)), light(behind(element))];
    return [element.textContent.trim(), parseFloat(style.fontSize), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(params=[(run, width, scheme) for run in RUNS for width in WIDTHS for scheme in SCHEMES], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A report, opened as a file where no script runs."""
    name, width, scheme = request.param
    run: list[dict[str, Any]] = RUNS[name]
    looks = [look for look in run if "stage" in look]
    text = report.page(canary_looks.line(run, ref=LONG), looks, app="notes", environment="prod")
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 800}, color_scheme=scheme, java_script_enabled=False
    )
    found = context.new_page()
    found.goto((tmp_path / "report.html").as_uri())
    yield found
    context.close()


def test_it_is_read_without_scrolling_sideways(page: Page) -> None:
    wide = page.evaluate("() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1]


def test_every_text_is_large_enough_and_stands_out(page: Page) -> None:
    seen = page.evaluate(SEEN)
    assert len(seen) > 30
    assert not [each for each in seen if each[1] < SMALLEST_PX or each[2] < READABLE]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_without_stages_it_is_as_easy_to_read(
    browser: Browser, tmp_path: Path, width: str, scheme: Literal["light", "dark"]
) -> None:
    reason = f"web1: {LONG}\n  | {LONG}\n-> `logs` has more"
    line = {**canary_looks.line(RUNS["good"], ref=LONG, reason=reason), "status": "failed"}
    path = tmp_path / "report.html"
    path.write_text(report.page(line, [], app="notes", environment="prod"), encoding="utf-8")
    opened = browser.new_page(viewport={"width": WIDTHS[width], "height": 800}, color_scheme=scheme)
    opened.goto(path.as_uri())
    test_it_is_read_without_scrolling_sideways(opened)
    seen = opened.evaluate(SEEN)
    assert len(seen) > 10
    assert not [each for each in seen if each[1] < SMALLEST_PX or each[2] < READABLE]


def test_charts_have_their_height_and_both_lines_and_are_told_in_words(page: Page) -> None:
    charts = page.get_by_role("img")
    assert charts.count() == 2
    for at, name in enumerate(("Requests that failed", "Response time")):
        box = charts.nth(at).bounding_box()
        assert box is not None
        assert box["height"] >= 100
        assert box["width"] >= 280
        assert page.get_by_role("img", name=name).count() == 1
        assert charts.nth(at).locator("path.path").count() == 2


def test_the_table_is_one_on_a_phone_too(page: Page) -> None:
    rows = page.get_by_role("table").get_by_role("row")
    assert rows.count() > 2
    assert rows.nth(1).get_by_role("cell").count() == 4


def test_it_follows_what_the_reader_wants_of_light(browser: Browser, tmp_path: Path) -> None:
    looks = [look for look in RUNS["bad"] if "stage" in look]
    path = tmp_path / "report.html"
    path.write_text(report.page(canary_looks.line(RUNS["bad"]), looks, app="notes", environment="prod"))
    grounds = {}
    for scheme in SCHEMES:
        opened = browser.new_page(color_scheme=scheme)
        opened.goto(path.as_uri())
        grounds[scheme] = opened.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert grounds["light"] != grounds["dark"]
