"""Backups: asking for them, and telling what is there and what is wrong.

What is taken, kept, found damaged or called wrong is decided on the archive host (the collection's role `backup`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ferryman import outcomes, paths, playing, readiness, telling
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, REFUSED, Stop
from ferryman.progress import size

Told = Mapping[str, Any]
FILES = ("media", "config", "cache")
SETS = ("database", *FILES)
GRAVE = ("P0", "P1")
"""Severities that somebody has to look at now: a command that only looks ends with 3."""


def play(verb: str, environment: Environment, values: Mapping[str, Any], key: str, *, act: bool) -> Any:
    """Run a playbook of the feature, and return what the archive host said under `key`."""
    return facts(verb, environment, values, key, act=act)[key]


def facts(verb: str, environment: Environment, values: Mapping[str, Any], key: str, *, act: bool) -> Told:
    """Run a playbook of the feature, and return all that was said, `key` by the archive host."""
    story, ended = (playing.run if act else playing.look_at)(f"backup_{verb}", environment, values)
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended) if act else REFUSED)
    if verb.startswith("cache_") and key not in story.facts:
        raise Stop(
            f"{environment.name} gives no cache to an archive",
            hint=f"groups `cache` and `backup` of {environment.inventory} name hosts; Ferryman's docs/guides/cache.md",
        )
    require_archive(environment, story, key)
    return story.facts


def require_archive(environment: Environment, story: outcomes.Story, key: str) -> None:
    """Refuse an environment whose archive host did not say `key`: it has none."""
    require_group(environment, {"backup": [key]} if key in story.facts else {})


def require_group(environment: Environment, groups: Mapping[str, Any]) -> None:
    """Refuse an environment in whose groups there is no archive host."""
    if not groups.get("backup"):
        raise Stop(
            f"{environment.name} has no archive host",
            hint=f"name one in group `backup` of {environment.inventory}; Ferryman's docs/guides/backups.md",
        )


def require_set(kind: str) -> str:
    """Return a set that there is."""
    if kind not in SETS:
        raise Stop(f"there is no set {kind!r}", hint=f"--set takes one of: {', '.join(SETS)}")
    return kind


def run(env: str, *, kind: str) -> Told:
    """Take a backup now; return its record."""
    verb, key = (of_files(kind, "run"), "backup_files_set") if require_set(kind) in FILES else ("run", "backup_set")
    record = play(verb, readiness.looked_at(env, app=""), {key: kind}, "record", act=True)
    return {"environment": record["environment"], "record": record}


def of_files(kind: str, verb: str) -> str:
    """Return the playbook for a set of files: the cache's host may be another than that of the others."""
    return f"{'cache' if kind == 'cache' else 'files'}_{verb}"


def look(env: str, verb: str) -> Told:
    """Return what the archive holds, why each backup is kept, and what is wrong."""
    environment = readiness.looked_at(env, app="")
    return {"environment": environment.name, **play(verb, environment, {}, "archive", act=False)}


def list_of(env: str, *, kind: str) -> Told:
    """Return what `look` does, with the backups of one set alone where one is named."""
    wanted = require_set(kind) if kind else ""
    told = look(env, "list")
    return {**told, "set": kind, "backups": [one for one in told["backups"] if wanted in ("", one["set"])]}


def show(env: str, which: str) -> Told:
    """Return the one backup that `which` names by its id or the beginning of it; the newest if it is empty."""
    told = look(env, "list")
    found = [one for one in told["backups"] if one["id"].startswith(which)]
    if not found or (len(found) > 1 and which):
        what = f"{which!r} names {len(found) or 'no'} backups" if which else "no backup was ever taken"
        raise Stop(what, hint=f"`{paths.command('backup.list', told['environment'])}` shows them")
    return {"environment": told["environment"], "backup": found[-1]}


def check(env: str, *, kind: str, backup: str) -> Told:
    """Read backups again; a Stop where one is not as it was written."""
    environment = readiness.looked_at(env, app="")
    values = {"backup_set": require_set(kind), "backup_chosen": backup}
    return {"environment": environment.name, "checked": play("check", environment, values, "checked", act=True)}


def drill(env: str, *, kind: str) -> Told:
    """Restore a set for practice, or all of them where none is named; return the records."""
    values = {"backup_drill_sets": [require_set(kind)] if kind else []}
    environment = readiness.looked_at(env, app="")
    return {"environment": environment.name, "drills": play("drill", environment, values, "drills", act=True)}


# Words


def listed(told: Told) -> str:
    """List the backups, the newest last, each with why it is kept."""
    if not told["backups"]:
        of = f" of {told['set']}" if told.get("set") else ""
        return f"{told['environment']}: no backup{of} was ever taken"
    away = told["offsite"]
    rows = [("backup", "size", "check", "on disk", *(["off site"] if away else []), "kept since")]
    rows += [
        (one["id"], size(one["bytes"]), _checked(one), _on_disk(one), *([_away(one)] if away else []), one["why"])
        for one in told["backups"]
    ]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    return "\n".join([*lines, f"off site is {away['repository']}"] if away else lines)


def _away(record: Mapping[str, Any]) -> str:
    """Say in which copy off site a backup is: the newest good one."""
    return str(record["copy"]) or "not yet"


def _on_disk(record: Mapping[str, Any]) -> str:
    return "encrypted" if record["encrypted"] else "in clear"


def _checked(record: Mapping[str, Any]) -> str:
    if record["result"] != "taken":
        return "not taken"
    return record["check"]["result"] if record["check"] else "not yet"


def shown(told: Told) -> str:
    """Tell everything about one backup."""
    one = told["backup"]
    lines = [
        f"{one['id']}  {_checked(one)}",
        f"  kept: {one['why']}",
        f"  {size(one['bytes'])} in {one['duration_s']:.0f} s, {_on_disk(one)} on the archive's disk",
    ]
    lines += [f"  off site in {one['copy']}"] if one["copy"] else []
    if one["source"]:
        version = f", PostgreSQL {one['source']['version']}" if "version" in one["source"] else ""
        lines.append(f"  of {one['source']['host']}{version}")
    if one["point"]:
        lines.append(f"  a restore of it goes to {one['point']['at']}")
    lines += [f"  {one['reason']}"] if one["reason"] else []
    lines += [f"  {each['what']}: {each['said']}" for each in (one["check"] or {}).get("findings", [])]
    return "\n".join(lines)


def taken(told: Told) -> str:
    """Say what was taken."""
    one = told["record"]
    return f"{one['id']}: {size(one['bytes'])} in {one['duration_s']:.0f} s, and it passed its check"


def looked(told: Told) -> str:
    """Say which backups were read, and what came of it."""
    return "\n".join(f"{one['id']} is as it was written" for one in told["checked"])


def drilled(told: Told) -> str:
    """Say how drills went."""
    return "\n".join(line for one in told["drills"] for line in _drilled(one))


def _drilled(one: Told) -> Iterator[str]:
    lost = "unknown" if one["rpo_s"] is None else f"{one['rpo_s']:g} s"
    yield f"{one['id']} passed: restored and looked at in {one['rto_s']:.1f} s"
    yield f"  {lost} would be lost: {one['rpo_said']}"
    yield from (f"  {check['name']}: {check['said']}" for check in one["checks"])
    yield from (f"  {line}" for line in _unasked(one))


def _unasked(drill: Told) -> Iterator[str]:
    """Say of which applications a drill does not know whether they are well; older records have none."""
    for site, one in drill.get("applications", {}).items():
        if one["result"] not in ("passed", "failed"):
            yield f"application {site} {one['result']}: {one['said']}"


def tell_state(told: Told, ctx: Any) -> None:
    """Print the state; what is grave is a failure of the command, so that a pipeline sees it."""
    if any(one["severity"] in GRAVE for one in told["wrong"]):
        raise Stop(state(told), hint=_next(told), code=NEEDS_PERSON, facts=dict(told))
    telling.tell(told, state, ctx)


def _next(told: Told) -> str:
    command, _, rest = told["wrong"][0]["do"].partition(" ")
    return " ".join([paths.command(command, told["environment"]), rest]).strip()


def state(told: Told) -> str:
    """Say how the archive is: what is wrong first."""
    lines = [f"{one['severity']}  {one['set'] or 'all'}: {one['said']}" for one in told["wrong"]]
    for kind, one in told["sets"].items():
        if one["last"]:
            rate = one["success_rate"]
            lines.append(
                f"{kind}: {one['count']} backups, the last {one['last']} ({size(one['bytes'])}), {rate:.0%} succeeded"
            )
        if one["drill"]:
            lines.append(f"{kind}: the last drill {one['drill']['id']} {one['drill']['result']}{_in(one['drill'])}")
            lines += [f"{kind}: {line}" for line in _applications(one["drill"])]
    if told["full"]:
        full = told["full"]
        lines.append(f"everything on a new host: the last drill {full['id']} {full['result']}{_in(full)}")
    stream, space = told["stream"], told["space"]
    if stream and stream["running"]:
        lines.append(
            f"stream: {stream['behind_bytes']} bytes behind" + (", commits wait for it" if stream["waits"] else "")
        )
    if stream and stream["beside"]:
        lines.append(_beside(stream["beside"]))
    if space:
        lines.append(f"space: {size(space['free'])} free")
    if told["offsite"] and told["offsite"]["last"]:
        away = told["offsite"]
        last = f"the last {away['last']} ({size(away['bytes'])})"
        lines.append(f"off site: {away['count']} copies in {away['repository']}, {last}")
    return "\n".join(lines)


def _beside(told: Told) -> str:
    """Say how files of WAL come beside the stream."""
    age = told["age_s"]
    last = "none came yet" if age is None else f"the last {told['last']} {age:.0f} s ago"
    waiting = f", {told['waiting']} wait" if told["waiting"] else ""
    return f"beside the stream: {last}{waiting}, {told['failed']} tries failed"


def _applications(drill: Told) -> list[str]:
    """Say what a drill knows of the applications."""
    well = [site for site, one in drill.get("applications", {}).items() if one["result"] == "passed"]
    return [*(f"application {site} was well on what it restored" for site in well), *_unasked(drill)]


def _in(drill: Told) -> str:
    """Say how long a drill took that came to its end."""
    return "" if drill["rto_s"] is None else f" in {drill['rto_s']:.0f} s"
