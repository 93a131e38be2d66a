"""Which tests name which requirement: docs/proof.md lists them, and what no test names is not there yet."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

from ferryman.errors import Stop

REGION = re.compile(r"(<!-- requirements: [^\n]* -->\n).*?(<!-- end of requirements -->\n)", re.DOTALL)
WANTED = re.compile(r"^- \*\*([A-Z]+-\d+)\*\*", re.MULTILINE)
NAMED = re.compile(r"^Requirements: (.+)\.$", re.MULTILINE)
PLACES = ("tests", "molecule")
NONE = "no test yet"


def page(text: str, root: Path) -> str:
    """Return the page with what its marked region holds written anew from the docstrings of the tests below `root`.

    Stop where there is no such region, or a test names a requirement that docs/requirements.md has not.
    """
    if not REGION.search(text):
        raise Stop("docs/proof.md has no place for requirements", hint="`git checkout docs/proof.md` brings it back")
    wanted = WANTED.findall((root / "docs" / "requirements.md").read_text(encoding="utf-8"))
    lines = table(wanted, naming(root))
    return REGION.sub(lambda found: f"{found[1]}\n{lines}\n{found[2]}", text)


def naming(root: Path) -> dict[str, list[str]]:
    """Return by requirement the test modules that name it under `Requirements:` in their docstring."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for place in PLACES for path in (root / place).rglob("test_*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for listed in NAMED.findall(said):
            for name in listed.split(", "):
                found.setdefault(name, []).append(str(path.relative_to(root)))
    return found


def table(wanted: Iterable[str], named: dict[str, list[str]]) -> str:
    """Return the requirements in their order, each with the tests that name it. Stop where one is none."""
    wanted = [*wanted]
    if unknown := sorted({*named} - {*wanted}):
        told = "; ".join(f"{name} in {', '.join(named[name])}" for name in unknown)
        raise Stop(f"docs/requirements.md has no such requirement: {told}", hint="name one that it has")
    rows = [f"| {name} | {', '.join(f'`{path}`' for path in named.get(name, [])) or NONE} |" for name in wanted]
    return "\n".join(["| requirement | tests |", "|---|---|", *rows, ""])
