"""What the documentation's pages hold: blocks of commands and of files, read as a reader copies them."""

import re
from dataclasses import dataclass
from pathlib import Path

from ferryman import paths

BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
OURS = re.compile(r"(?:^|(?<=[ (&;]))\./invoke +([a-z-][^|;&#)]*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it shows (as its first line says, `# path`), its text."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The path that the first line names, or nothing."""
        found = re.match(r"# (\S+\.yml)\b", self.text)
        return found[1] if found else ""

    @property
    def lines(self) -> list[str]:
        """Its commands: continued lines joined, comments left out."""
        text = self.text.replace("\\\n", "")
        return [line.split("  #")[0].strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def pages() -> list[Path]:
    """Return every page that people read."""
    root = paths.CHECKOUT
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md")), *sorted(root.glob("roles/*/README.md"))]


def blocks(page: Path, language: str = "") -> list[Block]:
    """Return a page's blocks, or those in one language."""
    found = [Block(kind, text) for kind, text in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if language in ("", block.language)]


def commands(page: Path) -> list[str]:
    """Return Ferryman's own commands that the page tells to type: in blocks, in indented lines, in `code`."""
    text = page.read_text(encoding="utf-8")
    said = [line for block in blocks(page) if block.language in ("sh", "text") for line in block.lines]
    said += [line.strip() for line in re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE)]
    said += re.findall(r"`([^`\n]+)`", text)
    found = [match for line in said for match in OURS.findall(line)]
    return [re.split(r" {2,}| >", command.strip())[0] for command in found]
