"""How fast a base backup is taken: the source serves while it is read.

The limit is given with the one command that takes a backup. In Barman's configuration (`bandwidth_limit`) it would hold
back every restore, too, also one by hand.
"""

from __future__ import annotations

MB = 10**6
KIB = 1024  # Barman's unit, and that of `pg_basebackup --max-rate`
HOUR_S = 3600


def words(rate: int) -> list[str]:
    """Return Barman's words for a backup at `rate` MB a second at most; 0 is no limit."""
    return ["--bwlimit", str(rate * MB // KIB)] if rate else []


def problem(rate: int, source_bytes: int, every_s: int) -> str:
    """Return why a source is too large for a rate, with one that would do; empty where it is not."""
    if not rate or source_bytes <= rate * MB * every_s:
        return ""
    least = -(-source_bytes // (MB * every_s))
    takes, due = source_bytes / MB / rate / HOUR_S, every_s / HOUR_S
    return (
        f"backup_database_rate: at {rate} MB/s a base backup of {source_bytes / MB:,.0f} MB takes {takes:.1f} hours, "
        f"and one is due every {due:.1f} (backup_run_every_s): at least {least}, or 0 for no limit"
    )
