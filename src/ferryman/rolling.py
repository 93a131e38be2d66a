"""Patching an environment host by host: what is due is looked at first, and who would be without service is asked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ferryman import asking, outcomes, paths, playing, readiness
from ferryman.errors import NEEDS_PERSON, Stop

Told = Mapping[str, Any]
REBOOTS = ("needed", "always", "never")
DATA = ("db", "cache")


@dataclass(frozen=True)
class Plan:
    """What a run does: what is `due` by host, of these who is `left` with his data, of what people are asked (`asks`),
    and whom a schedule leaves because nobody can be (`unasked`, and why)."""

    due: dict[str, Told]
    left: list[str]
    asks: list[tuple[list[str], str]]
    unasked: dict[str, str]


def roll(env: str, *, reboot: str, with_database: bool, wait: int, in_window: bool, yes: bool) -> Told:
    """Patch every host in its turn; return what was due by host, and whom that left out.

    `in_window` is for a schedule: each host is patched within its own window alone, and nobody is asked anything.
    """
    _refuse_unfit(reboot, wait, in_window=in_window)
    environment = readiness.agreed(env, app=None)
    readiness.require_sandbox(environment)
    story, ended = playing.run("maintenance_due", environment, {"maintenance_in_window": in_window})
    playing.stop_unless_done(story, ended, environment)
    wanted = plan(story.facts, reboot=reboot, with_database=with_database, in_window=in_window, yes=yes)
    if in_window:
        refuse_unasked(environment.name, wanted)
        refuse_shut(environment.name, wanted, story.facts.get("windows") or {})
    elif wanted.asks:
        asking.sure("; ".join(said for _, said in wanted.asks), yes=yes, facts={"due": wanted.due})
    values = {"maintenance_reboot": reboot, "maintenance_with_database": with_database, "release_wait_s": wait}
    values |= {"maintenance_in_window": True, "maintenance_left": [*wanted.unasked]} if in_window else {}
    story, ended = playing.run("maintenance_roll", environment, values)
    again = "the others serve; once that is mended, the same command goes on"
    playing.stop_unless_done(story, ended, environment, code=outcomes.code_of_act(story, ended), again=again)
    told: dict[str, Any] = {"environment": environment.name, "due": wanted.due, "left": wanted.left}
    told |= night(wanted, story.facts.get("windows") or {}) if in_window else {}
    told |= {"changed": story.changed, "duration_s": round(ended.seconds, 3)}
    if wanted.unasked:
        raise Stop(page(told), hint=_by_a_person(environment.name), code=NEEDS_PERSON, facts=told)
    return told


def plan(facts: Told, *, reboot: str, with_database: bool, in_window: bool, yes: bool) -> Plan:
    """Return what a run does, of what hosts told of themselves (`patched`; none where no window is open)."""
    hosts: dict[str, Told] = dict(facts.get("patched") or {})
    due = {name: told for name, told in hosts.items() if told["packages"] or _reboots(told, reboot)}
    left = [name for name, told in due.items() if not with_database and _is_of_data(told)]
    asks = [*outages({name: told for name, told in due.items() if name not in left}, hosts)]
    return Plan(due, left, asks, of_each(asks) if in_window and not yes else {})


def night(wanted: Plan, windows: Mapping[str, Told]) -> dict[str, Any]:
    """Return whom a night left, and why: those of whom nobody was asked, and those whose window had no room when it was
    their turn (`windows` has what each that was looked at told last)."""
    late = {name: shut(told) for name, told in windows.items() if not told["open"]}
    return {"unasked": wanted.unasked, "shut": late}


def _refuse_unfit(reboot: str, wait: int, *, in_window: bool) -> None:
    if reboot not in REBOOTS:
        raise Stop(f"--reboot takes one of {', '.join(REBOOTS)}, and not {reboot!r}", hint="needed is the default")
    if wait < 0:
        raise Stop(f"--wait takes seconds, and {wait} are none", hint="take 600 for ten minutes")
    if in_window and reboot == "always":
        raise Stop(
            "--in-window goes on the next night with what is due, and with --reboot always that is every host again",
            hint="leave out one of the two",
        )


def refuse_shut(env: str, wanted: Plan, windows: Mapping[str, Told]) -> None:
    """Refuse where no host's window is open for as long as a host may take; of those that are due, if any is."""
    due = wanted.due.keys() - {*wanted.left, *wanted.unasked}
    asked = {name: told for name, told in windows.items() if name in due} or windows
    if any(told["open"] for told in asked.values()):
        return
    said = {name: shut(told) for name, told in sorted(asked.items())}
    never = [name for name, told in sorted(asked.items()) if not told["fits"]]
    longer = "`host_updates_window` makes it longer, `release_patch_s` says what one host may take"
    raise Stop(
        "\n  ".join([f"{env}: nothing was touched outside of a window", *(f"{n}: {why}" for n, why in said.items())]),
        hint=f"that of {', '.join(never)} is never long enough: {longer}"
        if never
        else "begin it while one is open; without --in-window it needs none, for then you are there",
        facts={"environment": env, "shut": said},
    )


def of_each(asks: Iterable[tuple[list[str], str]]) -> dict[str, str]:
    """Return by host what somebody would have to be asked before it is patched."""
    said: dict[str, str] = {}
    for names, what in asks:
        for name in names:
            said[name] = f"{said[name]}; {what}" if name in said else what
    return said


def refuse_unasked(env: str, wanted: Plan) -> None:
    """Refuse where nothing is due but on hosts of which somebody would have to be asked."""
    unasked = wanted.unasked
    if unasked and not wanted.due.keys() - {*wanted.left, *unasked}:
        said, facts = "; ".join(dict.fromkeys(unasked.values())), {"environment": env, "unasked": unasked}
        raise Stop(f"{said}: nobody was asked", hint=_by_a_person(env), facts={**facts})


def _by_a_person(env: str) -> str:
    return f"with --yes the schedule does it, too; `{paths.command('maintenance.roll', env)}` asks you"


def shut(told: Told) -> str:
    """Say why a host is not begun with, and when it may be."""
    left, room = (f"{told[key] / 60:.0f}" for key in ("left_s", "room_s"))
    opens = f"opens {'again ' if told['left_s'] else ''}{told['opens']}"
    if not told["left_s"]:
        return f"its window {told['window']} is shut, and {opens}"
    return f"of its window {told['window']} {left} min are left, a host may take {room}; it {opens}"


def _reboots(told: Told, reboot: str) -> bool:
    """Say whether a host is started again: what is installed first may ask for it, too, and is not known yet."""
    return reboot == "always" or (reboot == "needed" and bool(told["reboot"]))


def _is_of_data(told: Told) -> bool:
    return not {*DATA}.isdisjoint(told["does"])


def outages(due: Mapping[str, Told], hosts: Mapping[str, Told]) -> Iterator[tuple[list[str], str]]:
    """Return of which hosts that are `due`, and in words, what clients will not get while these are patched; nothing
    where they get all.

    An upgrade may start again what it brings (nginx, PostgreSQL), so it counts like a reboot.
    """
    for kind, what in (("entry", "nothing answers clients"), ("app", "the application answers nobody")):
        there = [name for name, told in hosts.items() if kind in told["does"]]
        if len(there) == 1 and there[0] in due:
            yield there, f"{there[0]} is the only host of group {kind}: {what} while it is patched"
    data = [name for name, told in due.items() if _is_of_data(told)]
    if data:
        yield data, f"clients get the maintenance page while {', '.join(data)} is patched"


def page(told: Told) -> str:
    """Say what was due, and what is left."""
    env, due = told["environment"], told["due"]
    if not due:
        return f"{env}: nothing was due on any host"
    stay = {
        name: f"`{paths.command('maintenance.roll --with-database', env)}` patches it, too" for name in told["left"]
    }
    stay |= {**told.get("unasked", {}), **told.get("shut", {})}
    in_part = " in part" if any(name in due for name in (*told.get("unasked", {}), *told.get("shut", {}))) else ""
    lines = [f"{env} is patched{in_part} ({told['duration_s']:.0f} s)"]
    for name, each in due.items():
        what = [*each["packages"], *(["a reboot"] if each["reboot"] else [])]
        lines.append(
            f"  {name}: {', '.join(what) or 'a reboot'}{f'; left as it is: {stay[name]}' if name in stay else ''}"
        )
    return "\n".join(lines)
