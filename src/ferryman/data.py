"""Data of one environment for another: a restored copy in which everybody is masked, and the way back.

What is masked, and whether nothing is left, is decided where the copy lies (the collection's roles `backup` and
`data`); nothing that was not proven leaves that host.
"""

import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferryman import backup, outcomes, paths, readiness, release, telling
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, RETURNED, Stop
from ferryman.progress import size

Told = Mapping[str, Any]
PROD = "prod"


def refresh(env: str, *, source: str, app: str, to: str, undo: bool, yes: bool) -> Told:
    """Give an environment the data of another, masked, or with `undo` what it had before; return what was done."""
    if env == PROD:
        raise Stop(f"the data of {PROD} are nobody's copy", hint="`backup.restore` brings its own back")
    if not undo and not source:
        raise Stop("nothing says whose data: --from is needed", hint=f"--from {PROD}, say")
    target = readiness.acted_on(env, app=app)
    if undo:
        backup.sure(f"{target.name} will serve the data that it had before; those that it has now go", yes=yes)
        placed = _put(target, {"release_app": app, "data_back": True})
        return {"environment": target.name, "from": "", "undo": True, **_ends_well(target, app), **placed}
    origin = readiness.looked_at(source, app=app)
    if origin.name == target.name:
        raise Stop(f"{target.name} has its own data already", hint="--from names another environment")
    what = f"{target.name} will serve the data of {origin.name} ({to}), masked"
    backup.sure(f"{what}; what it has now is kept until the next time", yes=yes)
    base = paths.state_directory() / "data"
    base.mkdir(mode=0o700, exist_ok=True)
    here = Path(tempfile.mkdtemp(dir=base))
    try:
        taken = _take(
            origin, {"release_app": app, "backup_to": backup.point(to, time.time()), "data_here": str(here / "copy")}
        )
        copied = taken["copied"]
        given = {"data_rows": copied["rows"], "data_database_bytes": copied["database_bytes"]}
        placed = _put(target, {"release_app": app, "data_here": str(here / "copy"), **given})
    finally:
        shutil.rmtree(here)
    return {
        "environment": target.name,
        "from": origin.name,
        "undo": False,
        "backup": taken["restore"]["backup"],
        "to": taken["restore"]["to"],
        "copied": copied,
        **placed,
        **_ends_well(target, app),
    }


def _take(origin: Environment, values: Mapping[str, Any]) -> Told:
    """Restore, mask and fetch; whatever fails, what serves was not touched, and nothing of the copy is left."""
    story, ended = release.run("data_take", origin, values)
    code = REFUSED if story.failure.get("refused") or not story.changed else RETURNED
    release.stop_unless_done(story, ended, origin, code=code)
    if "copied" not in story.facts:
        raise Stop(f"{origin.name} has no archive host", hint=f"{origin.inventory} names one in group backup")
    return story.facts


def _put(target: Environment, values: Mapping[str, Any]) -> Told:
    story, ended = release.run("data_put", target, values)
    release.stop_unless_done(story, ended, target, code=outcomes.code_of_act(story, ended))
    if "placed" not in story.facts:
        raise Stop(f"{target.name} has no database host", hint=f"{target.inventory} names one in group db")
    return {"aside": story.facts["placed"]["aside"]}


def _ends_well(target: Environment, app: str) -> Told:
    """Ask what is served whether it is well on its new data; a Stop where it is not."""
    live = telling.arbiter(release.look(target.name, app=app)).get("live")
    told = release.health(target.name, app=app) if live else {}
    if live and not told["good"]:
        back = paths.command("data.refresh", target.name, app)
        raise Stop(
            f"{target.name} has the data, and is not well with them",
            hint=f"`{paths.command('health', target.name, app)}` says what is wrong; `{back} --undo` goes back",
            code=NEEDS_PERSON,
            facts=dict(told),
        )
    return {"well": True if live else None}


def told(said: Told) -> str:
    """Say what an environment has now, and how to go back."""
    if said["undo"]:
        return f"{said['environment']} serves the data that it had before"
    copied = said["copied"]
    rows = sum(copied["rows"].values())
    back = f"{paths.command('data.refresh', said['environment'])} --undo"
    return "\n".join(
        [
            f"{said['environment']} serves the data of {said['from']} as of {said['backup']} ({said['to']}), masked",
            f"  {rows} rows in {len(copied['rows'])} tables, {size(copied['bytes'])} on the way",
            f"  what it had before is kept as {said['aside']}: `{back}` goes back",
        ]
    )
