"""Find what would go wrong before anything is changed: in an environment's files first, then, on request, on its hosts.

Where the files are wrong no host is asked. What hosts carry is judged in the collection; here it is put together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryman import agreement, environments, readiness, release, secrets, variables
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.places import Place, Problem
from ferryman.variables import Loaded

Told = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What a host was found to be: `state` is good, wrong or unknown (nobody could look)."""

    host: str
    key: str
    state: str
    said: str
    right: str = ""


def check(env: str, *, app: str, hosts: bool) -> Told:
    """Return what was found good; Stop with every mistake in the files, or with all that is wrong with hosts."""
    environment = environments.resolve(env)
    secrets.ensure_local(environment)
    problems, loaded = agreement.survey(environment)
    apps = sorted({str(name) for _, found in agreement.applications(loaded) for name in found}) if loaded else []
    if app:
        readiness.require_app(environment, app, apps)
    described: dict[str, Told] = {}
    if loaded and apps and _can_be_read(loaded, problems):
        # A secret that is missing hides nothing else: what is read here needs its name alone.
        lacking = {problem.key: "missing" for problem in problems if problem.key.startswith("vault_")}
        described = _described(environment, {"check_app": app, **lacking})
        problems = variables.hushed(loaded, [*problems, *_problems(loaded, described)])
    if problems:
        raise variables.refusal(environment, problems)
    told: Told = {
        "environment": environment.name,
        "applications": [app] if app else apps,
        "problems": [],
        "notes": sorted({note for each in described.values() for note in each["notes"]}),
    }
    return told | (_hosts(environment, app, told) if hosts else {})


def _can_be_read(loaded: Loaded, problems: list[Problem]) -> bool:
    """Say whether the playbook that reads descriptions can run: what it fills in has to be there."""
    there = not loaded.partial and all(loaded.groups.get(group) for group in ("app", "entry"))
    broken = ("cannot be filled in", "is no map", "lacks ", "must be", "does not fit", "is empty")
    shaped = not any(p.key.startswith("apps") and p.wrong.startswith(broken) for p in problems)
    return there and shaped and not any(p.key == "environment_name" for p in problems)


def _described(environment: Environment, values: Mapping[str, str]) -> dict[str, Told]:
    """Return what the collection finds in the applications' descriptions."""
    story, ended = release.run("check_apps", environment, values, without_secrets=True)
    if ended.status != "done":
        raise Stop(story.failure.get("reason") or f"Ansible ended before its first step:\n{ended.said}")
    return dict(story.facts.get("described") or {})


def _problems(loaded: Loaded, described: Mapping[str, Told]) -> Iterator[Problem]:
    """Return what descriptions and inventory disagree on, with the places that the inventory's keys have."""
    for app, told in described.items():
        host = next(host for host, apps in agreement.applications(loaded) if app in apps)
        for each in told["problems"]:
            keys = each["keys"]
            place = Place(Path(each["file"]), each["line"]) if each["file"] else loaded.place(host, keys[0], keys[1:])
            wrong, _, right = each["wrong"].partition("; ")
            yield Problem(place, ".".join(keys) or "the file", wrong, right)


def _hosts(environment: Environment, app: str, told: Told) -> Told:
    del environment, app, told
    return {}
