"""A picture of a terminal: what stands on it after all that a command wrote, as an SVG."""

import io
import re
import socket
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from ferryman import paths

COLUMNS = 88
KEPT = 500  # lines, with those that have scrolled away
FAINT, BLINK = 2, 5
# A font from the network would tell a third party who reads the page; each line's length is given, so any will do.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code, ", "")


class Screen(pyte.Screen):
    """A screen that shows what is faint, too: it is kept as what blinks, which nothing here does."""

    def select_graphic_rendition(self, *attrs: int, **more: Any) -> None:
        wide = {38, 48} & set(attrs)  # a colour by its number, in which a 2 means something else
        super().select_graphic_rendition(*[BLINK if each == FAINT and not wide else each for each in attrs], **more)


def screen(seen: str) -> list[Text]:
    """Return the lines that stand there after all was written, with their colours."""
    shown = Screen(COLUMNS, KEPT)
    pyte.Stream(shown).feed(seen)
    lines = []
    for row in range(KEPT):
        line = Text()
        for shade, places in groupby((shown.buffer[row][column] for column in range(COLUMNS)), style):
            line.append("".join(place.data for place in places), shade)
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def style(char: Any) -> Style:
    """Return the style of a place on the screen."""
    named = {"brown": "yellow", "default": None}
    colour = named.get(char.fg, f"#{char.fg}" if re.fullmatch(r"[0-9a-f]{6}", char.fg) else char.fg)
    return Style(color=colour and colour.replace("bright", "bright_"), bold=char.bold or None, dim=char.blink or None)


def picture(lines: list[Text], title: str) -> str:
    """Return the lines as an SVG in a window's frame."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, soft_wrap=True)
    return console.export_svg(title=title, code_format=FORMAT, unique_id="terminal")


def named(seen: bytes, names: Mapping[str, str]) -> list[Text]:
    """Return the lines that stand there with the names that a reader has in the place of a test's own."""
    text = seen.decode(errors="replace")
    for ours, theirs in {str(paths.CHECKOUT / "invoke"): "./invoke", **names, socket.gethostname(): "laptop"}.items():
        text = text.replace(ours, theirs)
    return screen(text)


def keep(name: str, lines: list[Text], title: str) -> None:
    """Write the picture to where `./invoke docs.pictures` takes it from."""
    pictures = paths.state_directory(paths.CHECKOUT) / "pictures"
    pictures.mkdir(exist_ok=True)
    (pictures / name).write_text(picture(lines, title), encoding="utf-8")
