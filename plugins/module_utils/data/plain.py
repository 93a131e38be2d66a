"""Reading a text as a person would: what is written in disguise, beside where each character of it stands.

"ada (at) example dot org", full-width digits, HTML's and URLs' ways to write a character, and characters that are
not seen are all read as what they mean. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

ENCODED = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});|%[2-7][0-9a-fA-F]")
"""One character as HTML or a URL writes it."""

OPEN, SHUT = r"\s*[\[({<]\s*", r"\s*[\])}>]\s*"
AT = re.compile(rf"{OPEN}(?:at|ät|@){SHUT}|\s*@\s*", re.IGNORECASE)
DOT = re.compile(rf"{OPEN}(?:dot|punkt|\.){SHUT}", re.IGNORECASE)
SPOKEN = re.compile(
    r"(?<=[\w.+-])\s+at\s+(?=(?:[\w-]+(?:\s+dot\s+|\.))+[a-z]{2,}\b(?!\s*@|\s+at\s|[.-]\w|\s+dot\s))", re.IGNORECASE
)
"""Not the "at" of "reach him at bob at example dot org", nor that before a whole address."""
SPOKEN_DOT = re.compile(r"(?<=[\w-])\s+dot\s+(?=[\w-]+)", re.IGNORECASE)


class Plain(NamedTuple):
    """A text without its disguise; `at[n]` is (start, end) of what stands for character `n` in the original."""

    text: str
    at: list[tuple[int, int]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` up to `end` stand in the original."""
        return self.at[start][0], self.at[end - 1][1]

    def replaced(self, pattern: re.Pattern[str], by: str) -> Plain:
        """Return it with every match of `pattern` read as the one character `by`."""
        text, at, seen = [], [], 0
        for match in pattern.finditer(self.text):
            text.append(self.text[seen : match.start()] + by)
            at += [*self.at[seen : match.start()], self.span(*match.span())]
            seen = match.end()
        if not text:
            return self
        return Plain("".join([*text, self.text[seen:]]), [*at, *self.at[seen:]])


def read(text: str) -> Plain:
    """Return a text without its disguises."""
    plain = _decoded(text)
    if not _worth(plain.text):
        return plain
    plain = plain.replaced(AT, "@").replaced(DOT, ".")
    if SPOKEN.search(plain.text):
        plain = plain.replaced(SPOKEN, "@").replaced(SPOKEN_DOT, ".")
    return plain


def _worth(text: str) -> bool:
    low = text.lower()
    return "@" in low or "at" in low or "ät" in low


def _decoded(text: str) -> Plain:
    """Return a text with encoded characters read, widths and ligatures made plain, and unseen ones left out."""
    if text.isascii() and "&" not in text and "%" not in text:
        return Plain(text, [(n, n + 1) for n in range(len(text))])
    letters: list[str] = []
    at: list[tuple[int, int]] = []
    seen = 0
    for match in ENCODED.finditer(text):
        _take(text, seen, match.start(), letters, at)
        for letter in _letters(match.group()):
            letters.append(letter)
            at.append(match.span())
        seen = match.end()
    _take(text, seen, len(text), letters, at)
    return Plain("".join(letters), at)


def _take(text: str, start: int, end: int, letters: list[str], at: list[tuple[int, int]]) -> None:
    for n in range(start, end):
        for letter in _plain(text[n]):
            letters.append(letter)
            at.append((n, n + 1))


def _letters(encoded: str) -> str:
    if encoded[0] == "&":
        return "".join(map(_plain, html.unescape(encoded)))
    return chr(int(encoded[1:3], 16))


def _plain(letter: str) -> str:
    """Return what a character means; nothing for one that is not seen."""
    if letter.isascii():
        return letter
    if unicodedata.category(letter) in ("Cf", "Mn"):
        return ""
    if letter.isspace():
        return " "
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    return HYPHENS.get(letter) or unicodedata.normalize("NFKC", letter)


HYPHENS = dict.fromkeys("‐‑‒–—−", "-")
