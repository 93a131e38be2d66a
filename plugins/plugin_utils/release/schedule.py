"""When a job runs, as systemd reads it: the forms of systemd.time(7), "Calendar Events", and no others.

A driver may have no systemd to ask, and a host is asked too late: its timer is started after clients were moved.
"""

from __future__ import annotations

import re
import zoneinfo
from decimal import ROUND_HALF_UP, Decimal

WORDS = (
    *("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "annually"),
    *("semiannually", "semi-annually", "biannually", "bi-annually"),
)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST = 2**31 - 1
"""What any host can count to: seconds of an `@` time, and units (of seconds: microseconds) after which one repeats."""
MICROSECONDS = 10**6
YEARS, MONTHS, OF_MONTH, FROM_END, HOURS, MINUTES = (1970, 2199), (1, 12), (1, 31), (1, 28), (0, 23), (0, 59)
ALONE_FROM_END = 25  # what lies further from a month's end systemd reads alone, and in no list
SECONDS = (0, 60 * MICROSECONDS - 1)
DATE = re.compile(r"(?:(?P<year>[^-~]+)-)?(?P<month>[^-~]+)(?P<from_end>[-~])(?P<day>[^-~]+)")
PART = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?", re.ASCII)
PART_OF_SECONDS = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?(?:/(\d+(?:\.\d+)?))?", re.ASCII)
ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*")
CRONTAB = re.compile(r"[\d*/,-]+(?: +[\w*/,-]+){4}", re.ASCII)
RIGHT = "like `daily`, `Mon..Fri 03:15` or `*-*-* 03:15:00` (systemd.time(7), Calendar Events)"


def wrong(schedule: str) -> str:
    """Return why systemd reads no time in `schedule`, and after a semicolon what it does read; empty where it does."""
    if _is_time(schedule):
        return ""
    before, _, zone = schedule.rpartition(" ")
    if ZONE.fullmatch(zone) and _is_time(before.rstrip(" ")):
        return "" if _is_zone(zone) else f"ends in {zone!r}, which is no time zone; UTC, or a name like Europe/Berlin"
    kind = "is written as in crontab(5)" if CRONTAB.fullmatch(schedule) else "is no time that systemd reads"
    return f"{schedule!r} {kind}; {RIGHT}"


def _is_time(text: str) -> bool:
    if text.lower() in WORDS:
        return True
    if text.startswith("@"):
        return bool(re.fullmatch(r"@\d{1,10}", text, re.ASCII)) and int(text[1:]) <= MOST
    words = re.split(" +", text)
    days = words[0][:1].isalpha()
    if days and not _are_days(words.pop(0)):
        return False
    if not words:
        return days
    time = words.pop() if ":" in words[-1] else "*:*"
    return len(words) <= 1 and all(map(_is_date, words)) and _is_of_day(time)


def _are_days(text: str) -> bool:
    """Say whether these are days of the week; a comma may end them, a range runs forwards."""
    for part in text.removesuffix(",").split(","):
        ends = [_day(name) for name in re.split(r"\.\.|-", part, maxsplit=1)]
        if -1 in ends or ends != sorted(ends):
            return False
    return True


def _day(name: str) -> int:
    return next((number for number, day in enumerate(DAYS) if name.lower() in (day, day[:3])), -1)


def _is_date(text: str) -> bool:
    match = DATE.fullmatch(text)
    if not match:
        return False
    year, month, from_end, day = match.groups()
    return _fits(year or "*", YEARS) and _fits(month, MONTHS) and _fits(day, FROM_END if from_end == "~" else OF_MONTH)


def _is_of_day(text: str) -> bool:
    hours, _, rest = text.partition(":")
    minutes, second, seconds = rest.partition(":")
    return _fits(hours, HOURS) and _fits(minutes, MINUTES) and (not second or _fits(seconds, SECONDS))


def _fits(text: str, bounds: tuple[int, int]) -> bool:
    """Say whether these are values within `bounds`, each alone, as a range, or repeated: it must come again in there.

    Days that are counted from the end of a month are repeated towards it.
    """
    if text == "*":
        return True
    low, high = bounds
    form, step = (PART_OF_SECONDS, MICROSECONDS) if bounds == SECONDS else (PART, 1)
    parts = set(text.split(","))
    for each in parts:
        match = form.fullmatch(each)
        if not match:
            return False
        first, last, repeat = (
            None if part is None else _count(part, bounds, year=place < 2) for place, part in enumerate(match.groups())
        )
        assert first is not None
        if bounds == FROM_END and max(first, last or first) > ALONE_FROM_END and len(parts) > 1:
            return False
        if not low <= first <= high or not low <= (first if last is None else last) <= high:
            return False
        if repeat is not None and not 0 < repeat <= MOST:
            return False
        if last is not None and (last < first or (step > 1 and repeat is None and first + step > last)):
            return False
        if last is None and repeat and not low <= (first - repeat if bounds == FROM_END else first + repeat) <= high:
            return False
    return True


def _count(text: str, bounds: tuple[int, int], *, year: bool) -> int:
    """Return a number in the unit of its bounds: seconds are counted in microseconds, a short `year` is a whole one."""
    if bounds == SECONDS:
        return int((Decimal(text) * MICROSECONDS).quantize(Decimal(1), ROUND_HALF_UP))
    number = int(text)
    if bounds == YEARS and year and number < 100:
        return number + (2000 if number < 70 else 1900)
    return number


def _is_zone(name: str) -> bool:
    """Say whether there is such a time zone; a driver that knows none takes every name."""
    if name.upper() == "UTC":
        return True
    known = zoneinfo.available_timezones()
    return name in known or not known
