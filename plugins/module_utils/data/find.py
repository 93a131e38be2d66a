"""Finding personal data in text: what it is, where it stands, and the one form that all its spellings have.

Twelve kinds. Ten have a shape of their own and, where there is one, a checksum; names and user names have none, so
they are found as values that are known from columns, and names behind a title. Standard library only: it runs on hosts.

Sources: ISO 13616 (IBAN, modulo 97), ISO/IEC 7812 (payment cards, Luhn), ITU-T E.164 (telephone numbers, at most 15
digits), the US Social Security Administration's list of numbers that are never issued, RFC 5321 (addresses of mail),
RFC 4291 (IPv6).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.data import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = (
    "email", "iban", "ip", "card", "ssn", "mac", "coordinates", "birth_date", "phone", "address", "name", "username",
)  # fmt: skip
"""In the order in which they claim a place: a card's digits are no telephone number."""


class Found(NamedTuple):
    """Personal data: its kind, where it stands in the text (start, end), and its canonical form."""

    kind: str
    start: int
    end: int
    canonical: str


UNSEEN = ("Mn", "Cf")


def folded(text: str) -> str:
    """Return the letters and digits of a text, without case and accents, words apart by one space."""
    letters = unicodedata.normalize("NFKD", text)
    bare = "".join(letter for letter in letters if unicodedata.category(letter) not in UNSEEN)
    return " ".join(re.findall(r"\w+", bare.casefold().replace("_", " ")))


def canonical(kind: str, text: str) -> str:
    """Return the form that all spellings of a value have in common."""
    text = plain.read(text).text.strip()
    if kind == "email":
        return text.casefold()
    if kind in ("iban", "card", "ssn", "mac"):
        return re.sub(r"[^0-9A-Za-z]", "", text).upper()
    if kind == "phone":
        digits = re.sub(r"\D", "", re.sub(r"\(0\)", "", text))
        return digits[2:] if digits.startswith("00") else digits
    if kind == "ip":
        try:
            return str(ipaddress.ip_address(text.split("/")[0]))
        except ValueError:
            return text.casefold()
    if kind == "coordinates":
        return re.sub(r"\s*[,;/]\s*", ", ", text)
    if kind == "birth_date":
        return re.sub(r"\s+", " ", text)
    return folded(text)


# --- is it one? -------------------------------------------------------------------------------------------------------


def is_card(text: str) -> bool:
    """Luhn, ISO/IEC 7812: every second digit from the right is doubled."""
    digits = [int(letter) for letter in text if letter.isdigit()]
    odd, even = digits[-1::-2], digits[-2::-2]
    whole = sum(odd) + sum(sum(divmod(2 * digit, 10)) for digit in even)
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and whole % 10 == 0


def remainder(iban: str) -> int:
    """Modulo 97 of an IBAN whose first four characters stand at its end (ISO 13616); 1 for a right one."""
    turned = iban[4:] + iban[:4]
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97


def is_iban(text: str) -> bool:
    bare = re.sub(r"[ -]", "", text).upper()
    return 15 <= len(bare) <= 34 and remainder(bare) == 1


def is_ssn(text: str) -> bool:
    """Numbers with the areas 000, 666 and 900 to 999, or a part of zeros, were never given to anybody."""
    area, group, serial = re.findall(r"\d+", text)
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def is_phone(text: str) -> bool:
    return 7 <= len(canonical("phone", text)) <= 15


def is_ip(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified)


def is_mac(text: str) -> bool:
    return len(set(re.sub(r"\W", "", text))) > 1


def is_place(text: str) -> bool:
    latitude, longitude = (float(number) for number in re.findall(r"-?\d+\.\d+", text))
    return abs(latitude) <= 90 and abs(longitude) <= 180 and bool(latitude or longitude)


# --- where could it be? -----------------------------------------------------------------------------------------------

DATE = r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{4})"
BORN = r"(?i:\b(?:born|birth\w*|b-?day|d\.?o\.?b|geb|geboren|geburt\w*)\b)\W{0,4}(?:(?:on|am|is|was)\W)?\s?"
STREET = r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Boulevard|Blvd|Court|Square|Way)\b\.?"
GERMAN = r"[A-ZÄÖÜ][\wäöüß-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|ufer)"


class Shape(NamedTuple):
    """How a kind looks: its expression (group 1 is the value, where there is one), and what else must hold."""

    kind: str
    pattern: re.Pattern[str]
    holds: Optional[Callable[[str], bool]]


def _shape(kind: str, pattern: str, holds: Optional[Callable[[str], bool]] = None) -> Shape:
    return Shape(kind, re.compile(pattern), holds)


SHAPES = (
    _shape("email", r"[A-Za-z0-9._%+'-]*[A-Za-z0-9_%+'-]@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"),
    _shape("iban", r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{1,4}){3,8}\b", is_iban),
    # Before cards: with the length of its network, as PostgreSQL writes it, an address may look like one.
    _shape("ip", r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)", is_ip),
    _shape("card", r"(?<![\d.+])(?<!\d[ ./-])[2-6](?:[ ._/-]{0,2}\d){12,18}(?!\d)", is_card),
    _shape("ssn", r"(?<![\d-])\d{3}([ .-])\d{2}\1\d{4}(?![\d-])", is_ssn),
    _shape("mac", r"\b[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}\b", is_mac),
    _shape("ip", r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", is_ip),
    _shape("coordinates", r"(?<![\d.])-?\d{1,2}\.\d{3,}\s*[,;/]\s*-?\d{1,3}\.\d{3,}", is_place),
    _shape("birth_date", rf"{BORN}({DATE})"),
    _shape("phone", r"(?<![\w.+-])(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){6,14}(?![\d])", is_phone),
    _shape("phone", r"(?<![\w.+-])\(?0[1-9]\d{1,4}\)?[ /-]{1,3}\d(?:[ /-]?\d){4,9}(?![\d-])", is_phone),
    _shape("phone", r"(?<![\w.+-])\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?![\d-])", is_phone),
    _shape("address", rf"\b\d{{1,5}}[a-z]?\s(?:[A-Z][a-z]+\s){{1,3}}{STREET}"),
    _shape("address", rf"\b{GERMAN}\s\d{{1,4}}\s?[a-z]?\b"),
    _shape("name", r"\b(?:Mr|Mrs|Ms|Dr|Prof|Herrn?|Frau)\b\.?\s((?:[A-ZÄÖÜ][\w'’-]+)(?:\s[A-ZÄÖÜ][\w'’-]+)?)"),
)  # fmt: skip


def shaped(text: str) -> list[Found]:
    """Return the personal data in a text that its shape gives away, by place; none overlaps another."""
    if not _may_hold(text):
        return []
    seen = plain.read(text)
    taken: list[tuple[int, int]] = []
    found = []
    for shape in SHAPES:
        for start, end, value in _matches(shape, seen.text):
            if any(start < till and since < end for since, till in taken):
                continue
            taken.append((start, end))
            found.append(Found(shape.kind, *seen.span(start, end), canonical(shape.kind, value)))
    return sorted(found, key=lambda each: each.start)


def _may_hold(text: str) -> bool:
    """Say whether a closer look is worth it: most texts hold no digit, no sign of mail and no title."""
    return any(letter.isdigit() or letter in "@&%＠" for letter in text) or bool(HINT.search(text))


HINT = re.compile(r"(?i)\bat\b|[\[({<]\s*ät|\b(?:mr|mrs|ms|dr|prof|herrn?|frau)\b")


def _matches(shape: Shape, text: str) -> Iterator[tuple[int, int, str]]:
    group = 1 if shape.kind in ("birth_date", "name") else 0
    for match in shape.pattern.finditer(text):
        start, end = match.span(group)
        if shape.kind == "iban":
            end = _iban_end(text, start, end)
        value = text[start:end]
        if end > start and (shape.holds is None or shape.holds(value)):
            yield start, end, value


def _iban_end(text: str, start: int, end: int) -> int:
    """Return where an IBAN ends: words behind it look like more of it."""
    while end > start and not is_iban(text[start:end]):
        shorter = text.rfind(" ", start, end)
        end = shorter if shorter > start else start
    return end
