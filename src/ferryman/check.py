"""Find what would go wrong before anything is changed: in an environment's files first, then, on request, on its hosts.

Where the files are wrong no host is asked. What hosts carry is judged in the collection; here it is put together.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ferryman import agreement, environments, outcomes, playing, reach, readiness, secrets, telling, variables
from ferryman.environments import Environment
from ferryman.errors import Stop
from ferryman.places import Place, Problem
from ferryman.variables import Loaded

Told = dict[str, Any]
SUDO = re.compile(r"sudo|become|privilege|password", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """What a host was found to be: `state` is good, wrong, unknown (nobody could look) or note."""

    host: str
    key: str
    state: str
    said: str
    right: str = ""


def check(env: str, *, app: str, hosts: bool) -> Told:
    """Return what was found good; Stop with every mistake in the files, or with all that is wrong with hosts."""
    environment = environments.resolve(env)
    problems, loaded = agreement.survey(environment)
    apps = agreement.names(loaded) if loaded else []
    whole = loaded is not None and not loaded.partial and apps
    if (app or not apps) and (whole or not problems):  # it may be named in a file that is broken
        readiness.require_app(environment, app, apps)
    described: dict[str, Told] = {}
    if loaded and apps and can_be_read(loaded, problems):
        # A secret that is missing hides nothing else: what is read here needs its name alone.
        lacking = secrets.in_place_of([*secrets.pending(environment), *(problem.key for problem in problems)])
        described = _described(environment, {"check_app": app}, lacking)
        problems = with_descriptions(loaded, problems, described)
    if problems:
        raise variables.refusal(environment, problems)
    found = _hosts(environment, loaded, described) if hosts and loaded else []
    told: Told = {
        "environment": environment.name,
        "applications": [app] if app else apps,
        "problems": [],
        "notes": sorted({note for each in described.values() for note in each["notes"]}),
    }
    if not hosts:
        return told
    told["hosts"] = {each.host: [asdict(one) for one in found if one.host == each.host] for each in found}
    if any(each.state == "wrong" for each in found):
        wrong = f"hosts of {environment.name} are not fit, and nothing was changed:\n{telling.fitness(told)}"
        raise Stop(wrong, hint="mend what is wrong and look again", facts=told)
    return told


def can_be_read(loaded: Loaded, problems: list[Problem]) -> bool:
    """Say whether the playbook that reads descriptions can run: what it fills in has to be there."""
    opened = not loaded.sealed and not any(p.key == "the key" for p in problems)
    there = opened and not loaded.partial and all(loaded.groups.get(group) for group in ("app", "entry"))
    broken = ("cannot be filled in", "is no map", "lacks ", "must be", "does not fit", "is empty")
    shaped = not any(p.key.startswith("apps") and p.wrong.startswith(broken) for p in problems)
    return there and shaped and not any(p.key == "environment_name" or p.key.startswith("ansible_") for p in problems)


def _described(environment: Environment, values: Mapping[str, str], lacking: Mapping[str, str]) -> dict[str, Told]:
    """Return what the collection finds in the applications' descriptions."""
    story, ended = playing.run("check_apps", environment, values, stand_ins=lacking)
    playing.stop_unless_done(story, ended, environment)
    return dict(story.facts.get("described") or {})


def with_descriptions(loaded: Loaded, problems: list[Problem], described: Mapping[str, Told]) -> list[Problem]:
    """Return all problems: with those that the collection found between descriptions and inventory."""
    return variables.hushed(loaded, [*problems, *_disagreements(loaded, described)])


def _disagreements(loaded: Loaded, described: Mapping[str, Told]) -> Iterator[Problem]:
    """Return what descriptions and inventory disagree on, with the places that the inventory's keys have."""
    for app, told in described.items():
        host = next(host for host, apps in agreement.applications(loaded) if app in apps)
        for each in told["problems"]:
            keys = each["keys"]
            place = Place(Path(each["file"]), each["line"]) if each["file"] else loaded.place(host, keys[0], keys[1:])
            wrong, _, right = each["wrong"].partition("; ")
            key = ".".join(keys)
            yield Problem(place, key or "the file", wrong if key else wrong.removeprefix("this "), right)


def needs(described: Mapping[str, Told]) -> dict[str, int]:
    """Return what deploys of the applications may take together: MiB of memory, and processes that connect."""
    every = [each["needs"] for each in described.values() if each["needs"]]
    unlimited = any(each["unlimited"] for each in every)
    memory = 0 if unlimited else sum(each["memory_bytes"] for each in every) // 2**20
    return {"check_memory_mb": memory, "check_connections": sum(each["connections"] for each in every)}


def _hosts(environment: Environment, loaded: Loaded, described: Mapping[str, Told]) -> list[Found]:
    """Return what was found of every host: of those that could not be asked, too, with the reason."""
    readiness.bring_up(environment)
    lacking = secrets.in_place_of(secrets.pending(environment))
    story, ended = playing.run("check_hosts", environment, needs(described), stand_ins=lacking)
    if ended.status == "left" or (not story.facts.get("checked") and not story.failures):
        playing.stop_unless_done(story, ended, environment)
    names = dict.fromkeys(
        host for group in ("entry", "app", "db", "cache", "backup") for host in loaded.groups.get(group, [])
    )
    return [found for host in names for found in found_of(host, story, reach.command(loaded, host))]


def found_of(host: str, story: outcomes.Story, ssh: str) -> Iterator[Found]:
    """Return what a run found of a host that people reach by `ssh`."""
    judged = (story.facts.get("checked") or {}).get(host)
    if judged is not None:
        yield Found(host, "reach", "good", "it is reached, and sudo works")
        drilled = (story.facts.get("drilled") or {}).get(host, [])
        yield from (
            Found(host, each["key"], each["state"], each["said"], each["right"]) for each in [*judged, *drilled]
        )
        if (failure := story.failures.get(host)) and not drilled:  # the look at drills comes after all others
            yield Found(host, "drills", "unknown", str(failure["reason"]), "mend what is said, and run it again")
    elif failure := story.failures.get(host):
        yield _not_looked_at(host, failure, ssh)
    else:
        yield Found(host, "reach", "wrong", "nobody could look: the run ended before", "run it again")


def _not_looked_at(host: str, failure: Mapping[str, Any], ssh: str) -> Found:
    """Return why a host told nothing; Ansible has no other sign of a refused sudo than its words."""
    reason = str(failure["reason"])
    if failure["lost"]:
        return Found(host, "reach", "wrong", reason, f"`{ssh}` has to get in")
    if SUDO.search(reason):
        return Found(host, "sudo", "wrong", reason, "ansible_become_password, or sudo without one")
    return Found(host, "look", "wrong", reason, "mend on the host what is said, and run it again")
