"""Restores, as they are asked for: one set or all, to a moment, a backup or a release, beside everything or in place.

What is chosen, compared and put in place is decided by the collection's role `backup`.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ferryman import asking, backup, moments, paths, places, readiness, release, telling
from ferryman.environments import Environment
from ferryman.errors import Stop

Told = Mapping[str, Any]
ALL = "all"
RELEASE = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{7,40}")
RESTORED = "/var/lib/ferryman/backup/{}/restored"
"""Where files go that are restored to be looked at; no backup takes what lies there."""


def restore(env: str, *, kind: str, to: str, into: str, end: bool) -> Told:
    """Restore a set into a place of its own; return the job."""
    if into != "scratch":
        raise Stop(f"there is no place {into!r}", hint="--into takes scratch or place")
    if kind == ALL and end:
        raise Stop("each set has a place of its own", hint="--end with --set database, and with --set cache")
    if kind == ALL:
        environment = readiness.looked_at(env, app="")
        return _whole(environment, _goal(environment, to), {})
    if backup.require_set(kind) in backup.FILES and kind != "cache" and end:
        raise Stop(f"{kind} was restored into a directory", hint="remove it on its host where you need it no more")
    environment = readiness.looked_at(env, app="")
    if kind in backup.FILES:
        into = f"{RESTORED.format(environment.name)}/{kind}-{int(time.time())}"
        return _files(environment, kind, _goal(environment, to), into, end=end)
    values = {"backup_set": kind, **_goal(environment, to), "backup_end": end}
    return {
        "environment": environment.name,
        "restore": backup.play("restore", environment, values, "restore", act=True),
    }


def place(env: str, *, kind: str, to: str, undo: bool, yes: bool) -> Told:
    """Restore a set and put it in the place of what serves, or go back; return where the other one lies now."""
    environment = readiness.looked_at(env, app="")
    goal = {} if undo else _goal(environment, to)
    of = "everything" if kind == ALL else f"the {backup.require_set(kind)}"
    what = "what served before the last restore" if undo else f"{of} as it was ({to})"
    asking.sure(
        f"{environment.name} will serve {what}; what is there now stays beside it, and what is written meanwhile",
        yes=yes,
    )
    if kind == ALL:
        return {**_whole(environment, goal, {"backup_in_place": True, "backup_undo": undo}), "undo": undo}
    if kind in backup.FILES:
        return _files_back(environment, kind) if undo else _files(environment, kind, goal, "")
    values = {"backup_set": kind, **goal, "backup_undo": undo}
    facts = backup.facts("place", environment, values, "placed", act=True)
    note = facts.get("restore", {}).get("note", "")
    return {"environment": environment.name, "undo": undo, "placed": facts["placed"], "note": note}


def _whole(environment: Environment, goal: Told, how: Told) -> Told:
    """Restore every set in one job, or go back from it."""
    return {
        "environment": environment.name,
        "whole": backup.play("whole", environment, {**goal, **how}, "whole", act=True),
    }


def _goal(environment: Environment, to: str) -> Told:
    """Return where a restore goes as the role takes it; of a release, with when each one was live."""
    return {
        "backup_to": point(to, time.time()),
        "backup_lives": _lives(environment, to) if RELEASE.fullmatch(to) else {},
    }


def _lives(environment: Environment, name: str) -> Told:
    """Return when each release was live of the application that has one of this name, and its restore point."""
    for app in places.applications(environment) or [""]:
        history = telling.arbiter(release.look(environment.name, app=app)).get("history", [])
        if any(each["release"].startswith(name) for each in history):
            lived = [each for each in history if each["spans"]]
            return {each["release"]: {"spans": each["spans"], "point": each["way_back"]} for each in lived}
    raise Stop(
        f"no ledger of {environment.name} has a release {name}",
        hint=f"`{paths.command('releases', environment.name)}` shows them",
    )


def _files(environment: Environment, kind: str, goal: Told, into: str, *, end: bool = False) -> Told:
    """Give back the files of a backup that the catalogue knows; in place where `into` is empty."""
    values = {"backup_files_set": kind, "backup_into": into, **goal, "backup_end": end}
    job = backup.play(backup.of_files(kind, "restore"), environment, values, "files", act=True)
    return {"environment": environment.name, "files": job}


def _files_back(environment: Environment, kind: str) -> Told:
    """Put back what the last restore of a set in place put aside."""
    back = backup.play(backup.of_files(kind, "back"), environment, {"backup_files_set": kind}, "back", act=True)
    return {"environment": environment.name, "back": back}


def point(word: str, now: float) -> str:
    """Return where a restore goes as the role takes it: an id as it is, `latest`, or a moment with its zone."""
    if not word or word == "latest":
        return "latest"
    if word[:8].isdigit() and word[8:9] in ("", "T") and "-" not in word[:8]:
        return word
    return datetime.fromtimestamp(moments.read(word, "to", now=now), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Words


def restored(told: Told) -> str:
    """Say what was restored, and how to look at it."""
    if "whole" in told:
        return _of_every_set(told["whole"])
    one = told["files"] if "files" in told else told["restore"]
    if not one:
        return "what an earlier restore left is gone"
    if "files" in told:
        where = f"on the cache's host:\n{one['look']}" if one.get("look") else f"it lies in {one['into']}"
        return f"{one['backup']} was restored in {one['duration_s']:.1f} s, as it was taken; {where}"
    return (
        f"{one['backup']} was restored to {one['to']} in {one['duration_s']:.1f} s{_noted(one)}; on the archive host:\n"
        f"{one['look']}"
    )


def _of_every_set(job: Told) -> str:
    """Say of each set what was restored, of which moment it is, and where it lies."""
    lines = [f"{job['id']}: every set was restored in {job['duration_s']:.1f} s"]
    for kind, one in job["sets"].items():
        at = f"as of {one['of']}" if one["of"] else "to the last that was streamed"
        aside = [place for place in one["aside"] if place]
        where = f"; what was there lies in {', '.join(aside)}" if aside else ""
        look = f"; {one.get('look') or one['into']}" if one["into"] else ""
        lines.append(f"  {kind}: {one['backup']}, {at}{where}{look}")
    return "\n".join(lines)


def put(told: Told) -> str:
    """Say what serves now, and how to go back."""
    if "whole" in told and told["undo"]:
        return f"{told['environment']}: every set is as before {told['whole']['id']}"
    if "whole" in told:
        undo = paths.command("backup.restore", told["environment"])
        return f"{_of_every_set(told['whole'])}\n`{undo} --set all --into place --undo` goes back"
    if "back" in told:
        return f"{', '.join(told['back'])}: as before the last restore"
    again = f"`{paths.command('backup.restore', told['environment'])} --into place --undo"
    if "files" in told:
        one = told["files"]
        aside = f"what was there until now lies in {', '.join(one['aside'])}"
        return f"{one['backup']} is in place, as it was taken; {aside}\n{again} --set {one['set']}` goes back"
    serves, aside = f"{told['environment']} serves what was restored{_noted(told)}", told["placed"]["aside"]
    if not aside:
        return f"{serves}; nothing lay in its place"
    where = f"what served until now lies in {aside}"
    return where if told["undo"] else f"{serves}; {where}\n{again}` goes back"


def _noted(told: Told) -> str:
    """Say what is to be known of the way that a restore went."""
    return f" ({told['note']})" if told.get("note") else ""
