"""Data of one environment for another: a restored copy in which everybody is masked, and the way back.

What is masked, and whether nothing is left, is decided where the copy lies (the collection's roles `backup` and
`data`); nothing that was not proven leaves that host.
"""

import shutil
import time
from collections.abc import Mapping
from typing import Any

from ferryman import asking, backup, backup_restore, outcomes, paths, playing, readiness, release, runs, telling
from ferryman.environments import PROD, Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, RETURNED, Stop
from ferryman.progress import size

Told = dict[str, Any]
SETTLES_S = 20  # within which a pool of connections has noticed that all of them ended


def refresh(env: str, *, source: str, app: str, to: str, undo: bool, yes: bool) -> Told:
    """Give an environment the data of another, masked, or with `undo` what it had before; return what was done."""
    if env == PROD:
        raise Stop(f"{PROD} gets nobody's data", hint="`backup.restore` brings its own back")
    if not undo and not source:
        raise Stop("nothing says whose data: --from is needed", hint=f"--from {PROD}, say")
    point = backup_restore.point(to, time.time())
    target = readiness.acted_on(env, app=app)
    app = readiness.only(target, app)
    if undo:
        asking.sure(f"{target.name} will serve the data that it had before; those that it has now go", yes=yes)
        return _settled(target, app, {"undo": True, **_put(target, {"release_app": app, "data_back": True})})
    origin = readiness.looked_at(source, app=app)
    if origin.name == target.name:
        raise Stop(f"{target.name} has its own data already", hint="--from names another environment")
    _require_nobody(target, app)
    what = f"{target.name} will serve the data of {origin.name} ({to}), masked"
    asking.sure(f"{what}; what it has now is kept until the next time", yes=yes)
    _put(target, {"release_app": app, "data_rows": {}}, check=True)  # before minutes are spent on a copy
    here = runs.private_directory("data")
    try:
        taken = _take(origin, {"release_app": app, "backup_to": point, "data_here": str(here / "copy")})
        copied = taken["copied"]
        given = {f"data_{key}": copied[key] for key in ("rows", "database_bytes", "extensions")}
        placed = _put(target, {"release_app": app, "data_here": str(here / "copy"), **given})
    finally:
        shutil.rmtree(here)
    restored = {key: taken["restore"][key] for key in ("backup", "to")}
    return _settled(target, app, {"undo": False, "from": origin.name, **restored, "copied": copied, **placed})


def _require_nobody(target: Environment, app: str) -> None:
    """Refuse while a release is being deployed: its migration would be cut off, or meet the wrong database."""
    lock = telling.arbiter(release.look(target.name, app=app)).get("lock") or {}
    if lock.get("alive"):
        raise Stop(f"{lock['owner']} is at work on {target.name}: {lock['purpose']}", hint="wait until it has ended")


def _take(origin: Environment, values: Mapping[str, Any]) -> Told:
    """Restore, mask and fetch; what serves is not touched."""
    story, ended = playing.run("data_take", origin, values)
    if ended.status in outcomes.LOST:
        end = paths.command("backup.restore", origin.name)
        what = "interrupted" if ended.status == "left" else f"Ansible ended early:\n{ended.said}"
        raise Stop(
            f"{what}; a restored copy may be left on the archive host, and nothing else was touched",
            hint=f"`{end} --end` takes it away",
            code=NEEDS_PERSON,
        )
    code = REFUSED if story.failure.get("refused") or not story.changed else RETURNED
    playing.stop_unless_done(story, ended, origin, code=code)
    backup.require_archive(origin, story, "copied")
    return story.facts


def _put(target: Environment, values: Mapping[str, Any], *, check: bool = False) -> Told:
    story, ended = playing.run("data_put", target, values, check=check)
    playing.stop_unless_done(story, ended, target, code=REFUSED if check else _code(story, ended))
    if check:
        return {}
    if "placed" not in story.facts:
        raise Stop(f"{target.name} has no database host", hint=f"name one in group `db` of {target.inventory}")
    return {"environment": target.name, "app": values["release_app"], "aside": story.facts["placed"]["aside"]}


def _code(story: outcomes.Story, ended: runs.Ended) -> int:
    """Return the exit code of an exchange that failed: the host says whether it went back."""
    if story.failure.get("refused"):
        return REFUSED
    return RETURNED if story.failure.get("returned") else outcomes.code_of_act(story, ended)


def _settled(target: Environment, app: str, said: Told) -> Told:
    """Ask what is served whether it is well on its new data, and return what is to be told; a Stop where it is not."""
    hint = f"`{paths.command('health', target.name, app)}` says what is wrong"
    if not said["undo"]:
        hint += f"; `{paths.command('data.refresh', target.name, app)} --undo` goes back"
    try:
        well = _is_well(target, app)
    except Stop as stop:  # nobody knows: that is no refusal, the data are there
        wrong = f"{target.name} has the data, and cannot be asked whether it is well: {stop.message}"
        raise Stop(wrong, hint=hint, code=NEEDS_PERSON, facts=said) from stop
    if well is False:
        wrong = f"{target.name} has the data, and is not well with them"
        raise Stop(wrong, hint=hint, code=NEEDS_PERSON, facts={**said, "well": well})
    return {**said, "well": well}


def _is_well(target: Environment, app: str) -> bool | None:
    """Say whether what is live answers well, once it has noticed that its connections ended; None where nothing is."""
    if not telling.arbiter(release.look(target.name, app=app)).get("live"):
        return None
    until = time.monotonic() + SETTLES_S
    while True:
        well = release.all_well(release.health(target.name, app=app)["hosts"])
        if well or time.monotonic() > until:
            return well


def told(said: Mapping[str, Any]) -> str:
    """Say what an environment has now, and how to go back."""
    asked = "" if said["well"] else "; nothing is deployed there that could be asked whether it is well"
    if said["undo"]:
        return f"{said['environment']} serves the data that it had before{asked}"
    copied = said["copied"]
    rows = sum(copied["rows"].values())
    back = f"{paths.command('data.refresh', said['environment'], said['app'])} --undo"
    return "\n".join(
        [
            f"{said['environment']} serves the data of {said['from']}, restored to {said['to']}, masked{asked}",
            f"  {rows} rows in {len(copied['rows'])} tables, {size(copied['bytes'])} on the way",
            f"  what it had before is kept as {said['aside']}: `{back}` goes back",
        ]
    )
