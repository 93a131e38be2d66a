"""What differs between two releases: asked for, and told on a page whose first section is ready to be passed on."""

from collections.abc import Iterator, Mapping
from typing import Any

from ferryman import planned, playing, readiness, release
from ferryman.errors import Stop
from ferryman.logs_telling import printable

Told = Mapping[str, Any]
COMMITS = 50  # of each list, so many are shown; --json has all


def between(env: str, *, app: str, one: str, other: str) -> dict[str, Any]:
    """Return what differs between two releases, or between one and what is live; changes nothing.

    A host that cannot be reached matters only where it alone has what is asked for.
    """
    if not one:
        raise Stop(
            "no release named", hint="name two of those that `releases` shows, or one to compare with what is live"
        )
    environment = readiness.looked_at(env, app=app, one=True)
    values = {"release_app": app, "release_between": [word for word in (one, other) if word]}
    story, ended = playing.look_at("release_diff", environment, values)
    away = release.out_of_reach(story)
    if not (away and "diff" in story.facts):
        playing.stop_unless_done(story, ended, environment)
    release.answered(story, environment)
    return {**story.facts["diff"], **({"unreachable": away} if away else {})}


def page(told: Told) -> str:
    """Return what differs as people read it."""
    return planned.laid_out(
        _head(told),
        {
            "Release notes": _notes(told),
            "Files": ["not known"] if "files" in told["unknown"] else planned.files(told["files"]),
            "Configuration": _configuration(told),
            "Migrations": _migrations(told),
        },
    )


def _head(told: Told) -> Iterator[str]:
    yield f"{told['app']} on {told['environment']}"
    for name in ("from", "to"):
        side = told[name]
        about = [side["who"], side["at"], *(["hotfix"] if side.get("hotfix") else [])]
        yield from planned.wrapped(f"{name:<4}  {side['release']}  {printable(side['subject'])} ({', '.join(about)})")
    for what, why in told["unknown"].items():
        yield from planned.wrapped(f"not known: {what}: {why}")
    for why in told.get("unreachable", {}).values():
        yield from planned.wrapped(f"not asked: {why.partition(chr(10))[0]}")


def _notes(told: Told) -> Iterator[str]:
    commits = told["commits"]
    if not told["notes"] and not commits["dropped"]:
        yield "not known" if "commits" in told["unknown"] else "none"
    yield from planned.some([f"- {printable(note)}" for note in told["notes"]], COMMITS)
    if commits["dropped"]:
        yield f"no longer in it ({planned.count(len(commits['dropped']), 'commit')}):"
    dropped = [f"- {each['commit'][:7]} {printable(each['subject'])}" for each in commits["dropped"]]
    yield from planned.some(dropped, COMMITS)


def _configuration(told: Told) -> Iterator[str]:
    if not told["configuration"]:
        yield "not known" if "configuration" in told["unknown"] else "the same"
    yield from planned.texts(told["configuration"])


def _migrations(told: Told) -> Iterator[str]:
    seen = told["migrations"]
    schemas = [seen[name] or "none" for name in ("from", "to")]
    yield (
        f"the schema goes from {schemas[0]} to {schemas[1]}"
        if len({*schemas}) > 1
        else f"the schema is the same ({schemas[0]})"
    )
    yield from planned.touched(seen)
