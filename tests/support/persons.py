"""People who do not exist, with twelve kinds of personal data, and texts in which these stand in disguise.

A check number is computed here by other means than in the code that is tested.
"""

from __future__ import annotations

import html
import re
import unicodedata
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

FIRST = [
    "Ada",
    "Élodie",
    "Grace",
    "Jürgen",
    "Katherine",
    "Linus",
    "Margaret",
    "Noor",
    "Olu",
    "Søren",
    "Tímea",
    "Wisława",
]
LAST = ["Lovelace", "Hopper", "Müller", "Johnson", "Hamilton", "Okafor", "Kovács", "Szymborska", "Ångström", "O'Brien"]
DOMAINS = ["example.org", "mail.example.net", "firma.example"]
STREETS = ["Baker Street", "Old Mill Road", "Station Avenue", "High Bridge Lane"]
GERMAN = ["Hauptstraße", "Lindenweg", "Marktplatz", "Kastanienallee"]
KINDS = (
    "email",
    "phone",
    "name",
    "username",
    "address",
    "birth_date",
    "iban",
    "card",
    "ssn",
    "ip",
    "mac",
    "coordinates",
)


@dataclass(frozen=True)
class Person:
    """One who does not exist: a value of each kind."""

    values: dict[str, str]


def person(rng: random.Random, number: int) -> Person:
    """Return a person; `number` keeps apart what must be unique."""
    first, last = rng.choice(FIRST), f"{rng.choice(LAST)}{_letters(number)}"
    nick = f"{_ascii(first)}_{_ascii(last)}".lower()
    street = (
        f"{rng.randint(1, 999)} {rng.choice(STREETS)}"
        if rng.random() < 0.5
        else f"{rng.choice(GERMAN)} {rng.randint(1, 99)}"
    )
    return Person(
        {
            "email": f"{nick.replace('_', '.')}{number}@{rng.choice(DOMAINS)}",
            "phone": rng.choice(["+49 170 {} {}", "+44 20-{}-{}", "0049 30 {}/{}", "+1 ({}) {}"]).format(
                rng.randint(100, 999), f"{number:07d}"
            ),
            "name": f"{first} {last}",
            "username": f"{nick}{number}",
            "address": street,
            "birth_date": f"{rng.randint(1940, 2005)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
            "iban": _iban(rng, number),
            "card": _card(rng, number),
            "ssn": f"{rng.randint(1, 665):03d}-{rng.randint(1, 99):02d}-{1 + number % 9998:04d}",
            "ip": _ip(rng),
            "mac": ":".join(f"{rng.randint(0, 255):02x}" for _ in range(6)),
            "coordinates": f"{rng.uniform(-80, 80):.5f}, {rng.uniform(-170, 170):.5f}",
        }
    )


def _letters(number: int) -> str:
    """Return a number as a syllable or more: last names would not be told apart else."""
    out = ""
    while True:
        number, digit = divmod(number, 20)
        out += "bcdfghjklmnpqrstvwxz"[digit] + "aeiou"[digit % 5]
        if not number:
            return out


def _ascii(text: str) -> str:
    return re.sub(r"[^A-Za-z]", "", unicodedata.normalize("NFKD", text))


def _card(rng: random.Random, number: int) -> str:
    """Luhn by its definition: try the ten last digits."""
    body = f"4{rng.randint(0, 99999):05d}{number:09d}"
    for last in range(10):
        total = 0
        for place, digit in enumerate(map(int, reversed(f"{body}{last}"))):
            total += digit if place % 2 == 0 else (digit * 2 if digit < 5 else digit * 2 - 9)
        if total % 10 == 0:
            text = f"{body}{last}"
            return rng.choice([text, " ".join(text[n : n + 4] for n in range(0, 16, 4))])
    raise AssertionError("one of ten digits fits")


def _iban(rng: random.Random, number: int) -> str:
    """ISO 13616: the two digits that make the whole leave 1."""
    body = f"{rng.randint(10000000, 99999999)}{number:010d}"
    for check in range(2, 99):
        if int(f"{body}1314{check:02d}") % 97 == 1:  # D is 13, E is 14
            text = f"DE{check:02d}{body}"
            return rng.choice([text, " ".join(text[n : n + 4] for n in range(0, 22, 4))])
    raise AssertionError("one of them fits")


def _ip(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return "2001:db8:" + ":".join(f"{rng.randint(1, 65535):x}" for _ in range(6))
    return ".".join(str(rng.randint(1, 126)) for _ in range(4))


# --- texts ------------------------------------------------------------------------------------------------------------

FRAMES = [
    "Called {name} today, reach them at {email} or {phone}.",
    "{username} logged in from {ip} ({mac}), position {coordinates}; nothing else to say.",
    "Refund to {iban}, card was {card}. Ticket 4711 is closed.",
    "Lives at {address}, born {birth_date}, SSN {ssn}.",
    "Order 20240101 of 3 items shipped; contact: {email}, cc {name}",
    "<p>{name}&nbsp;wrote:</p><blockquote>call me on {phone}</blockquote>",
]


def text(rng: random.Random, who: Person) -> tuple[str, dict[str, str]]:
    """Return a text about somebody, and the values in it by kind; most of them are in disguise."""
    frame = rng.choice(FRAMES)
    told = {kind: who.values[kind] for kind in re.findall(r"{(\w+)}", frame)}
    return frame.format(**{kind: disguised(rng, kind, value) for kind, value in told.items()}), told


def disguised(rng: random.Random, kind: str, value: str) -> str:
    """Return a value as somebody writes it who would rather not be found, or who does not think about it."""
    ways = [*DISGUISES.get(kind, []), _plainly, _plainly]
    return rng.choice(ways)(value) if rng.random() < 0.9 else _unseen(value)


def _plainly(value: str) -> str:
    return value


def _wide(value: str) -> str:
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in value)


def _unseen(value: str) -> str:
    return "\u200b".join([value[:2], value[2:]])


def _entities(value: str) -> str:
    return "".join(f"&#{ord(letter)};" if letter in "@.-+" else letter for letter in value)


DISGUISES: dict[str, list[Callable[[str], str]]] = {
    "email": [
        lambda v: v.replace("@", " (at) ").replace(".", " (dot) "),
        lambda v: v.replace("@", " [AT] "),
        lambda v: v.replace("@", " at ").replace(".", " dot "),
        lambda v: v.replace("@", "{at}"),
        lambda v: urllib.parse.quote(v, safe=""),
        str.upper,
        _wide,
        _entities,
    ],
    "phone": [lambda v: v.replace(" ", ""), lambda v: v.replace(" ", "."), _wide, _entities],
    "card": [lambda v: v.replace(" ", "-"), lambda v: " ".join(v.replace(" ", "")), _wide],
    "iban": [str.lower, lambda v: v.replace(" ", "-"), _wide],
    "name": [
        str.upper,
        lambda v: ", ".join(reversed(v.split(" ", 1))),
        lambda v: v.replace(" ", "  "),
        lambda v: unicodedata.normalize("NFD", v),
    ],
    "username": [str.upper, lambda v: f"@{v}"],
    "mac": [str.upper, lambda v: v.replace(":", "-")],
    "ssn": [lambda v: v.replace("-", " "), lambda v: v.replace("-", ".")],
    "ip": [_entities],
    "coordinates": [lambda v: v.replace(", ", ","), lambda v: v.replace(", ", " / ")],
}  # fmt: skip


def bare(text: str) -> str:
    """Return letters and digits of a text alone, all disguises undone, by other means than those of the code."""
    text = urllib.parse.unquote(html.unescape(text))
    text = unicodedata.normalize("NFKD", text).casefold()
    text = re.sub(r"[\[({ ](?:at)[\])} ]", " ", text)
    text = re.sub(r"[({ ](?:dot)[)} ]", " ", text)
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\s+", "", text))
