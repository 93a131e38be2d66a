"""Putting something else in the place of personal data: the same for the same value, of the same form, never one that
anybody had.

A mask is made from a key by HMAC-SHA-256 (RFC 2104): who has not got the key can neither guess nor undo it, and the key
is forgotten when the work is done. Equal values of a kind get equal masks, so joins hold; different ones get different
masks where the kind is one that identifies. Standard library only: it runs on hosts.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import unicodedata
from typing import TYPE_CHECKING

from ansible_collections.ferryman.ops.plugins.module_utils.data import find

if TYPE_CHECKING:
    from collections.abc import Iterator

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"
DIGITS, CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = "0123456789abcdef"
TRIES = 200
"""After so many a value of few characters gets a mask that another one has, too: there may be no other left."""
IDENTIFYING = ("email", "iban", "card", "ssn", "mac", "ip", "phone", "username")
SHAPELESS = ("name", "username")
WORDED = (*SHAPELESS, "address")
"""Kinds whose masks are words, and might be what somebody is called."""
NOWHERE = ".test"
"""No mail is ever delivered there (RFC 2606)."""
NO_COUNTRY = "999"
"""A country code that no country has (ITU-T E.164)."""


class Draw:
    """Random numbers that a key and a value decide."""

    def __init__(self, key: bytes, kind: str, value: str, attempt: int) -> None:
        self.numbers = self._numbers(key, f"{kind}\0{attempt}\0{value}".encode("utf-8", "surrogatepass"))

    @staticmethod
    def _numbers(key: bytes, message: bytes) -> Iterator[int]:
        block = hmac.new(key, message, hashlib.sha256).digest()
        while True:
            for place in range(0, 32, 4):
                yield int.from_bytes(block[place : place + 4], "big")
            block = hmac.new(key, block, hashlib.sha256).digest()

    def below(self, limit: int) -> int:
        """Return a number below `limit`."""
        return next(self.numbers) % limit

    def one(self, letters: str) -> str:
        """Return one of the letters."""
        return letters[self.below(len(letters))]


class Masker:
    """Masks values; knows what must not come out (`originals`), and what it has given out so far."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.names = Names()
        self.made: set[str] = set()
        self.originals: set[tuple[str, str]] = set()
        self.owners: dict[tuple[str, str], str] = {}
        self.known: dict[tuple[str, str], str] = {}

    def learn(self, kind: str, value: str) -> None:
        """Take note of a value that somebody has, before the first is masked."""
        self.originals.add((kind, find.canonical(kind, value)))
        if kind in SHAPELESS:
            self.names.add(kind, value)

    def left(self, text: str) -> list[find.Found]:
        """Return the personal data in a text that was not made here."""
        return [found for found in self.spans(text) if _bare(found.canonical) not in self.made]

    def spans(self, text: str) -> list[find.Found]:
        """Return all personal data in a text by place; where two overlap, the one with a shape counts."""
        shaped = find.shaped(text)
        named = self.names.within(text)
        apart = [each for each in named if not any(each.start < s.end and s.start < each.end for s in shaped)]
        return sorted([*shaped, *apart], key=lambda each: each.start)

    def mask(self, kind: str, value: str) -> str:
        """Return what stands in for a value, in the spelling that the value has."""
        bare = find.canonical(kind, value)
        if not re.search(r"\w", bare):
            return value  # no letter, no digit: there is nobody in it
        return rendered(kind, value, self._masked(kind, bare))

    def _masked(self, kind: str, bare: str) -> str:
        known = self.known.get((kind, bare))
        if known is not None:
            return known
        for attempt in range(TRIES):
            draw = Draw(self.key, kind, bare, attempt)
            # What is in the column of a kind, and does not look like it, gets a mask that looks like it as little.
            made = MAKERS[kind](bare, draw) if FORMS[kind].fullmatch(bare) else _like(bare, draw)
            if self._free(kind, bare, made):
                break
        same = find.canonical(kind, made)
        self.owners[kind, same] = bare
        self.made.add(_bare(same))
        self.known[kind, bare] = made
        return made

    def _free(self, kind: str, bare: str, made: str) -> bool:
        same = (kind, find.canonical(kind, made))
        if same in self.originals or same == (kind, bare):
            return False
        # Words that came by chance may read as somebody's, with capitals as they will be written.
        if kind in WORDED and (self.names.within(made) or any(e.kind != kind for e in find.shaped(made.title()))):
            return False
        return kind not in IDENTIFYING or self.owners.get(same, bare) == bare

    def scrub(self, text: str) -> str:
        """Return a text in which all personal data that can be found is masked, and all else is as it was."""
        kept, seen = [], 0
        for found in self.spans(text):
            kept += [text[seen : found.start], self._inside(found, text[found.start : found.end])]
            seen = found.end
        return "".join([*kept, text[seen:]]) if kept else text

    def _inside(self, found: find.Found, spelled: str) -> str:
        """Return the mask of something found in a text, spelled as that is; its disguise alone is not kept."""
        disguised = _bare(spelled) != _bare(found.canonical)
        value = found.canonical if disguised else spelled
        return rendered(found.kind, value, self._masked(found.kind, found.canonical))


class Names:
    """Values without a shape (names, user names) that are known from columns, to be found in texts again."""

    SHORTEST = 4
    """Shorter ones, such as "Al" or "x", would be found in every second word."""

    def __init__(self) -> None:
        self.words: dict[str, set[tuple[str, ...]]] = {}
        self.kinds: dict[tuple[str, ...], tuple[str, str]] = {}

    def add(self, kind: str, value: str) -> None:
        """Take in a value of a column."""
        bare = find.folded(value)
        if len(bare.replace(" ", "")) >= self.SHORTEST and not bare.isdigit():
            words = tuple(bare.split())
            for first in range(len(words)):  # "Ada Lovelace" is "Lovelace, Ada", too
                order = words[first:] + words[:first]
                self.words.setdefault(order[0], set()).add(order)
                self.kinds.setdefault(order, (kind, bare))

    def within(self, text: str) -> list[find.Found]:
        """Return where known values stand in a text, the longest first at each place."""
        if not self.words:
            return []
        spelled = [(find.folded(match.group()), *match.span()) for match in WORD.finditer(text)]
        found, place = [], 0
        while place < len(spelled):
            candidates = self.words.get(spelled[place][0], ())
            for words in sorted(candidates, key=len, reverse=True):
                run = spelled[place : place + len(words)]
                if tuple(word for word, _, _ in run) == words:
                    kind, bare = self.kinds[words]
                    found.append(find.Found(kind, run[0][1], run[-1][2], bare))
                    place += len(words) - 1
                    break
            place += 1
        return found


WORD = re.compile(r"[^\W_](?:[^\W_]|[\u00ad\u200b-\u200d\u2060\ufeff\u0300-\u036f])*")
"""A word, with the characters in it that nobody sees."""


# --- forms ------------------------------------------------------------------------------------------------------------


def rendered(kind: str, value: str, masked: str) -> str:
    """Return a canonical mask in the spelling of a value: its separators, its case."""
    if kind in ("email", "ip", "coordinates", "birth_date"):
        return masked
    if kind == "phone":
        value = re.sub(r"\(0\)\s?", "", value)  # nobody dials it who dials the country
    if sum(map(str.isalnum, value)) < sum(map(str.isalnum, masked)):
        value = value.replace("ß", "ss")
    whole = str.lower if value.islower() else str.upper if value.isupper() else str
    letters = [letter for letter in whole(masked) if letter.isalnum()]
    out: list[str] = []
    for letter in reversed(value):  # from the right: what stands before, as 00 before a number, is no part of it
        if not letter.isalnum() or not letters or unicodedata.category(letter) == "Mn":
            out.append(letter)
        else:
            made = letters.pop()
            out.append(made.upper() if letter.isupper() else made.lower() if letter.islower() else made)
    return "".join(reversed(out))


def _like(text: str, draw: Draw) -> str:
    """Return other letters for letters and other digits for digits, so that it can still be spoken."""
    return "".join(_other(letter, draw) for letter in text)


def _other(letter: str, draw: Draw) -> str:
    if letter.isdigit():
        return draw.one(DIGITS)
    if letter.isalpha():
        plain = unicodedata.normalize("NFKD", letter)[0].lower()
        made = draw.one(VOWELS if plain in VOWELS else CONSONANTS)
        return made.upper() if letter.isupper() else made
    return letter


FORMS = {
    **{kind: re.compile(r"(?s).*") for kind in ("name", "username", "address", "birth_date")},
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+"),
    "iban": re.compile(r"[A-Z]{2}[0-9]{2}[0-9A-Z]{11,30}"),
    "card": re.compile(r"[0-9]{13,19}"),
    "ssn": re.compile(r"[0-9]{9}"),
    "mac": re.compile(r"[0-9A-F]{12}"),
    "ip": re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9a-f:]*:[0-9a-f:]*"),
    "coordinates": re.compile(r"-?\d+\.\d+\D+\d+\.\d+"),
    "phone": re.compile(r"0*[1-9][0-9]*"),
}


def _email(bare: str, draw: Draw) -> str:
    """As long as before, where it was long enough: its end is where no mail arrives."""
    local, _, domain = bare.partition("@")
    label = max(1, len(domain) - len(NOWHERE))
    local = local[: max(1, len(bare) - 1 - label - len(NOWHERE))]
    letters = CONSONANTS + VOWELS + DIGITS
    first = draw.one(CONSONANTS) + "".join(letter if letter in ".-_+" else draw.one(letters) for letter in local[1:-1])
    last = draw.one(letters) if len(local) > 1 else ""
    return f"{first}{last}@{''.join(draw.one(CONSONANTS + VOWELS) for _ in range(label))}{NOWHERE}"


def _digits(bare: str, draw: Draw) -> str:
    return draw.one("123456789") + "".join(draw.one(DIGITS) for _ in bare[1:])


def _card(bare: str, draw: Draw) -> str:
    body = bare[0] + _digits(bare[1:-1], draw)
    return next(body + digit for digit in DIGITS if find.is_card(body + digit) or digit == "9")


def _iban(bare: str, draw: Draw) -> str:
    body = "".join(draw.one(DIGITS) if letter.isdigit() else draw.one(CAPITALS) for letter in bare[4:])
    return f"{bare[:2]}{98 - find.remainder(f'{bare[:2]}00{body}'):02d}{body}"


def _ssn(bare: str, draw: Draw) -> str:
    """An area from 900 on was never given to anybody."""
    return "9" + _digits(bare[1:], draw)


def _phone(bare: str, draw: Draw) -> str:
    if len(bare) > 10:  # with its country
        return NO_COUNTRY + "".join(draw.one(DIGITS) for _ in bare[3:])
    return bare[: len(bare) - len(bare.lstrip("0"))] + _digits(bare.lstrip("0"), draw)


def _mac(bare: str, draw: Draw) -> str:
    """One that an administrator gave (IEEE 802: the second bit of the first octet), so no maker's."""
    return (draw.one(HEX) + draw.one("26ae") + "".join(draw.one(HEX) for _ in bare[2:])).upper()


def _ip(bare: str, draw: Draw) -> str:
    if ":" in bare:
        made = ":".join("".join(draw.one(HEX) for _ in range(4)) for _ in range(8))
        return find.canonical("ip", "fd" + made[2:])  # a local one, RFC 4193
    between = {1: (1, 9), 2: (10, 99), 3: (100, 255)}
    ranges = [between[len(octet)] for octet in bare.split(".")]
    return ".".join(str(first + draw.below(last - first + 1)) for first, last in ranges)


def _coordinates(bare: str, draw: Draw) -> str:
    """Another place as far as the decimals go: some hundred kilometres away at most, at sea or on land."""
    return re.sub(r"(?<=\.)\d+", lambda match: "".join(draw.one(DIGITS) for _ in match.group()), bare)


DATES = (
    (re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})"), (1, 2, 3), "{0:04d}-{1:02d}-{2:02d}"),
    (re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})"), (3, 2, 1), "{2:02d}.{1:02d}.{0:04d}"),
    (re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})"), (3, 1, 2), "{1:02d}/{2:02d}/{0:04d}"),
)
SHIFT_DAYS = 180


def _date(bare: str, draw: Draw) -> str:
    """Another day within half a year: ages stay about what they were."""
    days = 1 + draw.below(SHIFT_DAYS)
    days = days if draw.below(2) else -days
    for pattern, order, form in DATES:
        match = pattern.match(bare)
        if not match:
            continue
        try:
            before = datetime.date(*(int(match.group(n)) for n in order))
            after = before + datetime.timedelta(days=days)
        except (ValueError, OverflowError):
            break
        return form.format(after.year, after.month, after.day) + bare[match.end() :]
    return _like(bare, draw)


MAKERS = {
    "email": _email,
    "iban": _iban,
    "card": _card,
    "ssn": _ssn,
    "mac": _mac,
    "ip": _ip,
    "coordinates": _coordinates,
    "birth_date": _date,
    "phone": _phone,
    "address": _like,
    "name": _like,
    "username": _like,
}


def blanked(text: str) -> str:
    """Return a text of the same shape that says nothing: for texts in which anything may stand."""
    return re.sub(r"[^\W\d_]|@", "x", re.sub(r"\d", "0", text))


def _bare(canonical: str) -> str:
    return re.sub(r"\W", "", canonical).casefold()
