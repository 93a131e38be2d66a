"""Following a plan: which file can be followed, and what provisioning would do otherwise than it says."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman.errors import Stop

Told = Mapping[str, Any]
FORMAT = 1
PARTS = {"conditions", "environment", "app", "made_at", "wanted", "refused", "provision"}
"""What must be in a plan for it to be followed."""


def read(file: Path) -> dict[str, Any]:
    """Return the plan in a file; Stop where it is none that can be followed."""
    anew = "`plan --out FILE` makes a new one"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise Stop(f"{file} cannot be read as a plan: {why}", hint=anew) from error
    form = told.get("format") if isinstance(told, dict) else None
    if form != FORMAT:
        newer = isinstance(form, int) and form > FORMAT
        hint = "use the version of Ferryman that wrote it, or a newer one" if newer else anew
        raise Stop(f"{file} is no plan that this Ferryman can follow (format {form}, not {FORMAT})", hint=hint)
    if not told.keys() >= PARTS:
        raise Stop(f"{file} lacks parts of a plan: an older Ferryman wrote it, or only a playbook did", hint=anew)
    if told["wanted"]["dirty"]:
        raise Stop(f"{file} counts changes that are in no commit", hint="commit them, and plan anew")
    return dict(told)


def require_of(told: Told, environment: str, app: str, file: Path) -> None:
    """Refuse the plan of another environment, or of another application."""
    for what, option, mine in (("environment", "env", environment), ("app", "app", app)):
        if told[what] != mine:
            raise Stop(
                f"{file} is a plan for {what} {told[what]}, not for {mine}",
                hint=f"--{option} {told[what]} follows it; `plan --out FILE` makes one for {mine}",
            )


def changed(then: Told, now: Told) -> list[str]:
    """Return a sentence for all in which a plan that is made anew differs, beside its conditions.

    That is each change of provisioning that only one of the two tells of, and each new reason to refuse a deploy.
    """
    refused = (each for each in now["refused"] if each not in then["refused"])
    return [
        *_provisioning(then, now),
        *(f"a deploy would be refused now: {each['host']}: {each['reason']}" for each in refused),
    ]


def _provisioning(then: Told, now: Told) -> list[str]:
    one, other = (Counter(map(_change, told["provision"]["changes"])) for told in (then, now))
    return [
        *(f"provisioning would no longer do this: {each[0]}" for each in one - other),
        *(f"provisioning would now do this: {each[0]}" for each in other - one),
    ]


def _change(change: Told) -> tuple[str, str]:
    """Return a change of provisioning as it is named, and all of it."""
    task = change["task"].removeprefix("Main | ")
    return f"{change['host']}: {change['role'] or 'playbook'}: {task}", json.dumps(change, sort_keys=True)
