"""Copies of a whole archive off site: asking for them, and having an archive back from one.

What is sent, read there and kept is decided on the archive host (the collection's role `backup`).
"""

import time
from collections.abc import Mapping
from typing import Any

from ferryman import backup, backup_restore, paths, readiness
from ferryman.errors import Stop
from ferryman.progress import size

Told = Mapping[str, Any]
PLACE = "offsite"


def copy(env: str, *, check: bool) -> Told:
    """Send a copy now, or read all that is off site; return its record."""
    environment = readiness.looked_at(env, app="")
    told = backup.play("offsite", environment, {"backup_offsite_check": check}, "copy", act=True)
    return {"environment": environment.name, "check": check, **told}


def bring_back(env: str, *, source: str, to: str, plain: bool) -> Told:
    """Bring the archive back to a host that has none; return the job. `plain`: nothing but that was asked for."""
    if source != PLACE:
        raise Stop(f"there is no place {source!r} to restore from", hint=f"--from takes {PLACE}")
    if not plain:
        raise Stop(
            "--from offsite brings the whole archive back, to its own host",
            hint="without --set, --into, --end and --undo; afterwards every set is restored as ever",
        )
    environment = readiness.looked_at(env, app="")
    values = {"backup_to": backup_restore.point(to, time.time())}
    return {
        "environment": environment.name,
        "brought": backup.play("offsite_restore", environment, values, "brought", act=True),
    }


# Words


def copied(told: Told) -> str:
    """Say what was sent or read."""
    one = told["record"]
    where = f"{told['repository']} holds {one['id']}"
    if told["check"]:
        return f"{where}, and all data there is as it was written"
    sent, read = one["engine_facts"]["sent_bytes"], one["engine_facts"]["read"]
    return (
        f"{where}: {size(one['bytes'])}, of it {size(sent)} new, in {one['duration_s']:.0f} s; "
        f"part {read} of the data there was read again"
    )


def brought(told: Told) -> str:
    """Say what is back, and what to do next."""
    one = told["brought"]
    provision = paths.command("provision", told["environment"])
    return (
        f"{one['backup']}, of {one['of']}, is in {one['into']} after {one['duration_s']:.0f} s: "
        f"{len(one['holds'])} backups\nNext: `{provision}` takes it up"
    )
