"""The state of an archive as a file that Prometheus's node exporter reads (its textfile collector)."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records, state
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import METRICS, Archive, replace

OF_SETS = (
    ("age_seconds", "age_s", "Age of the last backup."),
    ("size_bytes", "bytes", "Size of the last backup."),
    ("duration_seconds", "duration_s", "How long the last backup took."),
    ("success_ratio", "success_rate", "Part of the backups of 30 days that succeeded."),
    ("count", "count", "Backups that are there."),
)
OF_ALL = (
    ("space_free_bytes", ("space", "free"), "Bytes free for the archive."),
    ("space_missing_bytes", ("space", "missing"), "Bytes that the next backup lacks."),
    ("days_until_full", ("space", "days_until_full"), "Days until the archive's disk is full."),
    ("wal_running", ("stream", "running"), "Whether WAL is streamed."),
    ("wal_lag_seconds", ("stream", "lag_s"), "How far the stream of WAL is behind."),
    ("wal_behind_bytes", ("stream", "behind_bytes"), "Bytes of WAL that are not here yet."),
)
OF_BESIDE = (
    ("wal_archive_running", "on", "Whether the source sends files of WAL beside the stream."),
    ("wal_archive_age_seconds", "age_s", "Age of the last file of WAL that came beside the stream."),
    ("wal_archive_failing", "failing", "Whether the last try to send one failed."),
    ("wal_archive_failures", "failed", "Tries to send one that failed."),
    ("wal_archive_waiting_files", "waiting", "Files of WAL that wait on the source's disk to be sent."),
)
OF_COPIES = (
    ("offsite_age_seconds", "age_s", "Age of the last copy off site."),
    ("offsite_size_bytes", "bytes", "Size of the last copy off site."),
    ("offsite_sent_bytes", "sent_bytes", "What of the last copy was new off site."),
    ("offsite_duration_seconds", "duration_s", "How long the last copy off site took."),
    ("offsite_passed", "passed", "Whether the last copy off site passed its check."),
    ("offsite_success_ratio", "success_rate", "Part of the copies of 30 days that succeeded."),
    ("offsite_count", "count", "Copies that are off site."),
)
OF_DRILLS = (
    ("drill_rto_seconds", "rto_s", "How long the last drill took until all was checked."),
    ("drill_rpo_seconds", "rpo_s", "What the last drill would have lost."),
)
SEVERITIES = ("P0", "P1", "P2", "P3")


def text(told: dict[str, Any]) -> str:
    """Return the metrics of a state; what nobody knows has no line, so that an alert for its absence fires."""
    lines: list[str] = []

    def add(name: str, about: str, values: list[tuple[str, Any]]) -> None:
        known = [(labels, value) for labels, value in values if value is not None]
        if known:
            lines.extend([f"# HELP ferryman_backup_{name} {about}", f"# TYPE ferryman_backup_{name} gauge"])
            lines.extend(f"ferryman_backup_{name}{{{labels}}} {float(value):g}" for labels, value in known)

    own = f'archive="{told["name"]}"'
    for name, key, about in OF_SETS:
        add(name, about, [(f'{own},set="{kind}"', one[key]) for kind, one in told["sets"].items()])
    passed = [(f'{own},set="{kind}"', bool(one["passed"])) for kind, one in told["sets"].items()]
    add("restorable", "Whether there is a backup that its check found whole, up to its own point at least.", passed)
    for name, (part, key), about in OF_ALL:
        add(name, about, [(own, (told[part] or {}).get(key))])
    beside = (told["stream"] or {}).get("beside") or {}
    for name, key, about in OF_BESIDE:
        add(name, about, [(own, beside.get(key))])
    for name, key, about in OF_COPIES:
        add(name, about, [(own, (told["offsite"] or {}).get(key))])
    drills = [(f'{own},set="{kind}"', one["drill"]) for kind, one in told["sets"].items() if one["drill"]]
    drills += [(f'{own},set="{records.FULL}"', told["full"])] if told["full"] else []
    add("drill_passed", "Whether the last drill passed.", [(of, one["result"] == "passed") for of, one in drills])
    ages = [(of, records.moment(told["at"]) - records.taken_at(one)) for of, one in drills]
    add("drill_age_seconds", "Age of the last drill.", ages)
    for name, key, about in OF_DRILLS:
        add(name, about, [(of, one[key]) for of, one in drills])
    steps = [(f'{of},step="{step}"', seconds) for of, one in drills for step, seconds in one["parts_s"].items()]
    add("drill_step_seconds", "How long a step of the last drill took.", steps)
    counts = [(f'{own},severity="{one}"', sum(w["severity"] == one for w in told["wrong"])) for one in SEVERITIES]
    add("wrong", "Things that are wrong, by severity.", counts)
    return "\n".join(lines) + "\n"


def write(own: Archive) -> dict[str, Any]:
    """Write the metrics of an archive as it is now; return its state."""
    told = state.look(own)
    os.makedirs(METRICS, mode=0o755, exist_ok=True)
    replace(f"{METRICS}/backup-{own.name}.prom", text(told))
    return told
