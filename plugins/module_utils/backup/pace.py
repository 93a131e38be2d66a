"""How fast a base backup is taken: the source serves while it is read.

The limit is given with the one command that takes a backup. In Barman's configuration (`bandwidth_limit`) it would hold
back every restore, too, also one by hand.
"""

from __future__ import annotations

import re

MB = 10**6
KIB = 1024  # Barman's unit, and that of `pg_basebackup --max-rate`
HOUR_S = 3600
AUTO = "auto"
FORM = re.compile("auto|[0-9]{1,3}|1000")
GENTLE = 10  # MB a second that who works with the database does not feel (docs/records/bench-backup-database.json)
SMALL = 100 * MB  # is read before anybody has felt it
SHARE = 4  # a backup is to be over in this part of the time until the next
MOST = 1000  # MB a second: above that PostgreSQL takes no limit


def reckoned(source_bytes: int, every_s: int) -> int:
    """Return MB a second for a source of that size of which a backup is due every so many seconds; 0 is no limit."""
    if source_bytes <= SMALL:
        return 0
    rate = max(GENTLE, -(-source_bytes * SHARE // (MB * every_s)))
    return rate if rate <= MOST else 0


def words(rate: int) -> list[str]:
    """Return Barman's words for a backup at `rate` MB a second at most; 0 is no limit."""
    return ["--bwlimit", str(rate * MB // KIB)] if rate else []


def held_back(wished: str, source_bytes: int, every_s: int) -> list[str]:
    """Return Barman's words for a backup of a source of that size, as `backup_database_rate` wishes it."""
    return words(reckoned(source_bytes, every_s) if wished == AUTO else int(wished))


def problem(wished: str, source_bytes: int, every_s: int) -> str:
    """Return why a source is too large for a rate, with one that would do; empty where it is not."""
    rate = 0 if wished == AUTO else int(wished)
    if not rate or source_bytes <= rate * MB * every_s:
        return ""
    least = -(-source_bytes // (MB * every_s))
    takes, due = source_bytes / MB / rate / HOUR_S, every_s / HOUR_S
    return (
        f"backup_database_rate: at {rate} MB/s a base backup of {source_bytes / MB:,.0f} MB takes {takes:.1f} hours, "
        f"and one is due every {due:.1f} (backup_run_every_s): at least {least}, or {AUTO}"
    )
