"""Patching an environment host by host: what is due is looked at first, and who would be without service is asked."""

from collections.abc import Iterator, Mapping
from typing import Any

from ferryman import asking, outcomes, paths, playing, readiness
from ferryman.errors import Stop

Told = Mapping[str, Any]
REBOOTS = ("needed", "always", "never")
DATA = ("db", "cache")


def roll(env: str, *, reboot: str, with_database: bool, wait: int, yes: bool) -> Told:
    """Patch every host in its turn; return what was due by host, and whom that left out."""
    if reboot not in REBOOTS:
        raise Stop(f"--reboot takes one of {', '.join(REBOOTS)}, and not {reboot!r}", hint="needed is the default")
    if wait < 0:
        raise Stop(f"--wait takes seconds, and {wait} are none", hint="take 600 for ten minutes")
    environment = readiness.agreed(env, app=None)
    readiness.require_sandbox(environment)
    story, ended = playing.run("maintenance_due", environment, {})
    playing.stop_unless_done(story, ended, environment)
    hosts: dict[str, Told] = dict(story.facts.get("patched") or {})
    due = {name: told for name, told in hosts.items() if told["packages"] or _reboots(told, reboot)}
    left = [name for name, told in due.items() if not with_database and _is_of_data(told)]
    if said := [*outages({name: told for name, told in due.items() if name not in left}, hosts)]:
        asking.sure("; ".join(said), yes=yes, facts={"due": due})
    values = {"maintenance_reboot": reboot, "maintenance_with_database": with_database, "release_wait_s": wait}
    story, ended = playing.run("maintenance_roll", environment, values)
    again = "the others serve; once that is mended, the same command goes on"
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended), again=again)
    took = round(ended.seconds, 3)
    return {"environment": environment.name, "due": due, "left": left, "changed": story.changed, "duration_s": took}


def _reboots(told: Told, reboot: str) -> bool:
    """Say whether a host is started again: what is installed first may ask for it, too, and is not known yet."""
    return reboot == "always" or (reboot == "needed" and bool(told["reboot"]))


def _is_of_data(told: Told) -> bool:
    return not {*DATA}.isdisjoint(told["does"])


def outages(due: Mapping[str, Told], hosts: Mapping[str, Told]) -> Iterator[str]:
    """Return in words what clients will not get while the hosts that are `due` are patched; nothing where they get all.

    An upgrade may start again what it brings (nginx, PostgreSQL), so it counts like a reboot.
    """
    for kind, what in (("entry", "nothing answers clients"), ("app", "the application answers nobody")):
        there = [name for name, told in hosts.items() if kind in told["does"]]
        if len(there) == 1 and there[0] in due:
            yield f"{there[0]} is the only host of group {kind}: {what} while it is patched"
    data = [name for name, told in due.items() if _is_of_data(told)]
    if data:
        yield f"clients get the maintenance page while {', '.join(data)} is patched"


def page(told: Told) -> str:
    """Say what was due, and what is left."""
    env, due = told["environment"], told["due"]
    if not due:
        return f"{env}: nothing was due on any host"
    lines = [f"{env} is patched ({told['duration_s']:.0f} s)"]
    for name, each in due.items():
        what = [*each["packages"], *(["a reboot"] if each["reboot"] else [])]
        stays = f"; left as it is: `{paths.command('maintenance.roll --with-database', env)}` patches it, too"
        lines.append(f"  {name}: {', '.join(what) or 'a reboot'}{stays if name in told['left'] else ''}")
    return "\n".join(lines)
