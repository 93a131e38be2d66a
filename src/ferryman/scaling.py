"""How many instances of processes run: said by somebody, until somebody says otherwise."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ferryman import outcomes, paths, playing, readiness, runs
from ferryman.errors import NEEDS_PERSON, RETURNED, Stop

Told = Mapping[str, Any]
DECLARED = "declared"
SIZE = re.compile(rf"(?P<name>[a-z][a-z0-9]*)=(?P<count>[0-9]{{1,3}}|{DECLARED})")
HOW = f"like web=5, several with a space between; web={DECLARED} goes back to what is declared"


def scale(env: str, *, app: str, size: Sequence[str], wait: int, check: bool) -> dict[str, Any]:
    """Have as many instances of processes run on each app host as `size` says (`web=5`); return what was before.

    A failure is a Stop. With `check` nothing is done, and it is told what would be.
    """
    wanted = read(size)
    if wait < 0:
        raise Stop(f"--wait takes seconds, and {wait} are none", hint="take 600 for ten minutes")
    environment = readiness.acted_on(env, app=app)
    values = {"release_app": app, "release_scale": wanted, **({"release_wait_s": wait} if wait else {})}
    story, ended = playing.run("release_scale", environment, values, check=check, way_back=not check)
    playing.stop_unless_done(story, ended, environment, code=_code(story, ended))
    told = dict(story.facts["scale"])
    return {
        "environment": environment.name,
        "app": app,
        **told,
        "emptied": story.facts.get("emptied") or {},
        "changes": [{key: change[key] for key in ("host", "did")} for change in story.changes if change["did"]],
        "changed": story.changed,
        "check": check,
        "duration_s": round(ended.seconds, 3),
    }


def read(size: Sequence[str]) -> dict[str, int | str]:
    """Return how many instances of each process are wanted, by name."""
    if not size:
        raise Stop("no process named", hint=f"`{paths.program()} scale web=5`, {HOW}")
    found: dict[str, int | str] = {}
    for word in size:
        said = SIZE.fullmatch(word)
        if not said:
            raise Stop(f"{word!r} is no count of a process", hint=HOW)
        if said["name"] in found:
            raise Stop(f"{said['name']} is named twice", hint="one count for each process")
        found[said["name"]] = DECLARED if said["count"] == DECLARED else int(said["count"])
    return found


def _code(story: outcomes.Story, ended: runs.Ended) -> int:
    """Return the exit code of what failed: whoever has gone back to its end is where it was."""
    code = outcomes.code_of_act(story, ended)
    return RETURNED if code == NEEDS_PERSON and story.returned and ended.status not in outcomes.LOST else code


def page(told: Told) -> str:
    """Say how many run now."""
    env, counts = told["environment"], told["instances"]
    now = ", ".join(f"{name} {count} (before {told['was'][name]})" for name, count in counts.items())
    on = f" on each of {', '.join(told['hosts'])}" if len(told["hosts"]) > 1 else ""
    if told["check"]:
        lines = [f"{env} would have {now}{on}; nothing was changed"]
        return "\n".join([*lines, *(f"  {each['host']}: {did}" for each in told["changes"] for did in each["did"])])
    lines = [f"{env} has {now}{on} ({told['duration_s']:.1f} s)" if told["changed"] else f"{env} has {now}{on} already"]
    if not all(told["emptied"].values()):
        lines.append("some connections that were open before were closed (websockets, long downloads)")
    return "\n".join(lines)
