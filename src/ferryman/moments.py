"""Moments as people say them: `10m`, `1w`, `now`, `yesterday`, a date, RFC 3339."""

import re
from datetime import UTC, datetime, timedelta

from ferryman.errors import Stop

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = re.compile(r"(?:\d+[smhdw])+")
DAYS = {"today": 0, "yesterday": 1}
SAID = (
    "10m, 2h30m, 3d, 1w, now, today, yesterday, 2026-11-22, 2026-11-22T10:30, 2026-11-22T10:30:00Z"
    " (without a zone: UTC)"
)


def read(word: str, option: str, *, now: float) -> float:
    """Return the moment that `word` names, in seconds since 1970; Stop where it names none.

    `now` is in seconds since 1970; `option` is what the word was given for.
    """
    text, today = word.strip(), datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        if AGO.fullmatch(text):
            parts = re.findall(r"(\d+)([smhdw])", text)
            return now - sum(timedelta(**{UNITS[unit]: int(count)}).total_seconds() for count, unit in parts)
        if text in DAYS:
            return (today - timedelta(days=DAYS[text])).timestamp()
        if text == "now":
            return now
        if re.match(r"\d{4}-\d\d-\d\d", text):
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    raise Stop(f"--{option}: {word!r} is no time", hint=f"for example {SAID}")
