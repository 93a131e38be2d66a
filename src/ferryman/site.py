"""The documentation as a site: built by Sphinx from the Markdown that a forge shows too, then walked link by link.

The pages stay plain Markdown, without a word for the generator: what its sidebar shows is read from the lists in
the pages called README.md (`navigation`). docs/conf.py names this module as an extension of Sphinx.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ferryman.errors import Stop

HOME = "README"
INDEXES = {HOME: "docs/README.md", "docs/reference/README": "", "docs/decisions/README": ""}
"""The pages with a place in the sidebar for others, and the page whose lists say which (empty: their own)."""
ENTRY = re.compile(r"^- \[[^\]]+\]\(([^)#\s]+)\.md\)", re.MULTILINE)
OUTSIDE = ("https", "http", "mailto")


def navigation(text: str) -> list[tuple[str, list[str]]]:
    """Return the headings of a page that have a list of pages below them, each with those pages (without `.md`)."""
    _, *parts = re.split(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    found = zip(parts[0::2], map(ENTRY.findall, parts[1::2]), strict=True)
    return [(heading.strip(), pages) for heading, pages in found if pages]


def tree(docname: str, lists: str, text: str) -> str:
    """Return what to add to a page so that Sphinx sees the pages that `text`, which lies at `lists`, has lists of."""
    made = []
    for heading, pages in navigation(text):
        there = [posixpath.normpath(posixpath.join(posixpath.dirname(lists), page)) for page in pages]
        words = "\n".join(f"/{page}" for page in there if page != docname)
        made.append(f"```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{words}\n```\n")
    return "\n".join(made)


def setup(app: Any) -> dict[str, bool]:
    """Be an extension of Sphinx: add the sidebar's trees to the pages as they are read, and a front page."""

    def read(_: Any, docname: str, source: list[str]) -> None:
        if docname in INDEXES:
            path = Path(app.srcdir) / (INDEXES[docname] or f"{docname}.md")
            source[0] += "\n\n" + tree(docname, str(path.relative_to(app.srcdir)), path.read_text(encoding="utf-8"))

    def front(_: Any, error: Exception | None) -> None:
        home = Path(app.outdir) / f"{HOME}.html"
        if error is None and home.is_file():
            shutil.copy(home, home.with_name("index.html"))

    app.connect("source-read", read)
    app.connect("build-finished", front)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def build(root: Path, out: Path) -> int:
    """Build the site of the checkout `root` into the directory `out`, look at every link, and return the pages' number.

    What Sphinx warns of, a dead link and a page that no link leads to are each a `Stop` with all of them.
    """
    words = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--fresh-env", "--quiet"]
    words += ["--conf-dir", str(root / "docs"), "--doctree-dir", str(out.with_name(f"{out.name}.doctrees"))]
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(
        [*words, str(root), str(out)], env=os.environ | {"NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Stop(f"the site could not be built:\n{done.stderr.strip()}", hint="each line names its page")
    wrong = problems(out)
    if wrong:
        raise Stop("\n  ".join(["links of the site lead nowhere, or a page has none:", *wrong]))
    return len(list(pages(out)))


class Reader(HTMLParser):
    """What a page of the site leads to, and the places in it that others can lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := said.get(key)))
        link = said.get("href") if tag in ("a", "link") else said.get("src")
        if link:
            self.links.append(link)


def pages(out: Path) -> Iterator[Path]:
    """Return the site's pages, without those of the generator (search, index of words) and of its theme."""
    for path in sorted(out.rglob("*.html")):
        if path.name not in ("search.html", "genindex.html") and "_static" not in path.parts:
            yield path


def problems(out: Path) -> list[str]:
    """Return the links that lead nowhere, and the pages that cannot be reached from the front page by links."""
    read = {page: Reader(page) for page in out.rglob("*.html") if "_static" not in page.parts}
    wrong, leads = [], {page: set[Path]() for page in read}
    for page, found in read.items():
        for link in found.links:
            target, why = follow(link, page, read)
            if why:
                wrong.append(f"{page.relative_to(out)}: {link}: {why}")
            elif target:
                leads[page].add(target)
    reached, waiting = set[Path](), [out / "index.html"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += leads.get(page, ())
    lost = [f"{page.relative_to(out)}: no link leads to it" for page in pages(out) if page not in reached]
    return sorted(set(wrong)) + lost


def follow(link: str, page: Path, read: dict[Path, Reader]) -> tuple[Path | None, str]:
    """Return the file that a link leads to (none for the world outside), and why it leads nowhere (empty: it does).

    There may be no way out to ask whether a page outside is there: of those the form alone is looked at (RFC 3986).
    """
    parts = urlsplit(link)
    if parts.scheme in OUTSIDE:
        whole = parts.path if parts.scheme == "mailto" else "." in parts.netloc
        return None, "" if whole and not re.search(r"\s", link) else "not an address"
    if parts.scheme or parts.netloc:
        return None, "" if parts.scheme == "data" else "a scheme that pages here do not use"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return None, "no such file"
    if parts.fragment and target in read and unquote(parts.fragment) not in read[target].anchors:
        return None, "no such place in that page"
    return target, ""
