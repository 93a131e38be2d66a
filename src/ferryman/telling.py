"""What commands print: one JSON object for pipelines, few lines for people. Nothing is decided here."""

import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ferryman import paths, pointing
from ferryman.errors import NEEDS_PERSON, Stop
from ferryman.logs_telling import printable

Told = Mapping[str, Any]
ILL = 400  # from here on an HTTP status says that a client did not get what it asked for
NOTICED_S = 1  # what people notice and wonder about
WIDTH = 79
PAGE = "the maintenance page is shown"
QUEUES = "waiting for the lock: "
"""What the action release_wait prints before a sentence."""


def tell(told: Told, words: Callable[[Told], str], ctx: Any) -> None:
    """Print `told` as JSON where that is wanted, else in `words`."""
    print(json.dumps(told, ensure_ascii=False) if ctx.ferryman.json else words(told))


def tell_health(told: Told, ctx: Any) -> None:
    """Print the answers; ill is a failure of the command, so that a pipeline sees it."""
    each = told.get("apps") or [told]
    if not told["good"]:
        first = next(one for one in each if not one["good"])
        env = told["environment"]
        raise Stop(
            "\n  ".join([f"{env} is not well:", *(line for one in each if not one["good"] for line in _ill(one))]),
            hint=paths.command("maintenance.off" if first["maintenance"] else "status", env, first["app"]),
            code=NEEDS_PERSON,
            facts=dict(told),
        )
    tell(told, lambda _: "\n".join(f"well  {line}" for one in each for _, line in _answers(one)), ctx)


def _ill(told: Told) -> Iterator[str]:
    """Say what is not well of one application."""
    if told["maintenance"]:
        yield f"{told['app']}: {PAGE}" if told["app"] else PAGE
    yield from (line for good, line in _answers(told) if not good)
    if not any(told["hosts"].values()):
        yield f"{told['app'] or 'the application'}: no host had anything to ask, so nobody knows whether it is well"


def _answers(told: Told) -> Iterator[tuple[bool, str]]:
    for host, answers in told["hosts"].items():
        for name, answer in answers.items():
            what = name if name.startswith(told["app"]) else f"{told['app']} {name}"
            yield answer["good"], f"{host} {what}: {answer['said']}"


def tell_verified(told: Told, ctx: Any) -> None:
    """Print the results; a step that failed is a failure of the command."""
    lines = [_step(where, each) for where, listed in told["results"].items() for each in listed]
    if not told["good"]:
        env, what = told["environment"], told["release"]
        shown = [f"{PAGE}, and answers what is asked through the entry"] if told["maintenance"] else []
        raise Stop(
            "\n  ".join([f"{env} is not as {what} says that it should be:", *shown, *lines]),
            hint=paths.command("maintenance.off" if shown else "logs", env, told["app"]),
            code=NEEDS_PERSON,
            facts=dict(told),
        )
    tell(told, lambda _: "\n".join(lines), ctx)


def _step(where: str, result: Told) -> str:
    place = result["vantage"] if where == result["vantage"] else f"{where} {result['vantage']}"
    why = f": {result['reason']}" if result["reason"] else ""
    return f"{result['result']:<8}  {place}: {result['name']}{why}"


def summary(told: Told) -> str:
    """Say how a deploy or a rollback went."""
    env, took = told["environment"], f"({told['duration_s']:.1f} s)"
    if told["status"] == "unchanged":
        said = f"{told['release']} is live already on {env}; nothing was changed {took}"
        return "\n".join([said, told["url"], *told.get("left_out", {}).values()])
    if told["status"] == "handed_over":
        follow, host = paths.command("attach", env, told["app"]), told["handed_over"]["host"]
        return f"{told['release']} is handed over: {host} brings it live by itself {took}\n`{follow}` follows it"
    kind = " as a hotfix" if told.get("hotfix") else ""
    lines = [f"{told['release']} is live on {env}{kind} {took}", told["url"]]
    lines += _outside(told)
    lines += _left_out(told)
    lines += [f"found: {reason}" for reason in told.get("found", []) if "by hand" in reason]
    if told.get("by_hand"):
        right = f"`{paths.command('deploy --ref COMMIT', env, told['app'])}` brings the right files"
        lines.append(f"it was edited by hand: {', '.join(told['by_hand'][:5])}; {right}")
    lines += waited(told)
    lines += pointing.done(told) if "kept" in told else []
    if told.get("no_restore_point"):
        lines.append(f"no dump was taken before the migration: {told['no_restore_point']}")
    lines += [told["not_judged"]] if told.get("not_judged") else []
    if told.get("verified"):
        asked = (f"{seen['passed']} steps at {place}" for place, seen in told["verified"].items())
        lines.append(f"verified: {', '.join(asked)}")
    lines += reported(told)
    if told.get("watched_s"):
        lines.append(f"watched by its host for {told['watched_s']:g} s more: where it turns bad by then, it goes back")
    if told["previous"] and "kept" not in told:
        # A release that was rolled back from is where nobody goes unless it is named.
        back = "rollback" if told["command"] == "deploy" else f"rollback --to {told['previous']}"
        lines.append(f"before: {told['previous']}; `{paths.command(back, env, told['app'])}` goes back")
    if told["ca"]:
        lines.append(f"curl --cacert {told['ca']} {told['url']}")
    return "\n".join(lines)


def _outside(told: Told) -> Iterator[str]:
    """Say what this machine, as a client, got from the entry where that is not what a client would like."""
    seen, url = told.get("outside", {}), told["url"]
    if told.get("maintenance"):
        yield f"{PAGE}; `{paths.command('maintenance.off', told['environment'], told['app'])}` hides it"
    if "error" in seen:
        yield f"the hosts see it answer, this machine does not: {seen['error']}"
    elif seen.get("status", 200) >= ILL and not told.get("maintenance"):
        yield f"this machine got {seen['status']} from {url}: the application's own answer, or the name leads elsewhere"


def _left_out(told: Told) -> Iterator[str]:
    """Say who was left out, and what ends that."""
    for host, why in told.get("left_out", {}).items():
        mended = paths.command("deploy", told["environment"], told["app"])
        yield f"without {host}: {why}; it gets no clients until `{mended}` reaches it, and brings it there"


def reported(told: Told) -> Iterator[str]:
    """Say where the report of a deploy is."""
    if told.get("report"):
        yield f"{'how its clients fared' if told.get('canary') else 'its report'}: {told['report']}"


def waited(told: Told) -> Iterator[str]:
    """Say that a deploy or a rollback waited for its turn or for its slot, where anybody noticed."""
    if told.get("waited_s", 0) >= NOTICED_S:
        yield f"it waited {told['waited_s']:.0f} s for the lock, which {told['waited_for']} held"
    if told.get("drained_s", 0) >= NOTICED_S:
        yield f"it waited {told['drained_s']:.0f} s first, for uploads that might still go to the slot that it needed"


def waits(told: Told) -> Iterator[str]:
    """Say that a deploy may have to wait for its slot, once its hosts were looked at."""
    if told.get("drains_s", 0) >= NOTICED_S:
        yield (
            f"waiting up to {told['drains_s']:.0f} s before the new release starts: "
            "uploads that began before the last switch may still go to the slot that it needs"
        )


def queues(line: str) -> Iterator[str]:
    """Say whom a run waits for, where a printed line tells that: who holds the lock, how many come before."""
    _, mark, said = line.partition(QUEUES)
    if mark:
        yield f"{QUEUES}{said.strip()}"


def provisioned(told: Told) -> str:
    """Say how provisioning went."""
    what = "changed" if told["changed"] else "nothing changed"
    return f"{told['environment']} is provisioned, {what} ({told['duration_s']:.1f} s)"


def checked(told: Told) -> str:
    """Say what was found good, and what should be known."""
    env, apps = told["environment"], told["applications"]
    lines = [f"{env}: its files are right" + (f" ({', '.join(apps)})" if apps else "")]
    lines += [f"note  {note}" for note in told["notes"]]
    return "\n".join([*lines, *([fitness(told)] if "hosts" in told else [])])


def fitness(told: Told) -> str:
    """Say what was found of each host: what is wrong first, with the way out."""
    lines = []
    for host, found in told["hosts"].items():
        lines.append(f"  {host}")
        for state in ("wrong", "unknown", "note", "good"):
            for each in (each for each in found if each["state"] == state):
                right = f" -> {each['right']}" if each["right"] and state != "good" else ""
                lines.append(f"    {state:7} {each['key']}: {each['said']}{right}")
    return "\n".join(lines)


def page(told: Told) -> str:
    """Say what clients see now."""
    already = "" if told["changed"] else "already "
    return f"{told['environment']}: the maintenance page is {already}{'shown' if told['maintenance'] else 'hidden'}"


def page_on(entries: Iterable[str], *, on: bool) -> str:
    """Say of some entries what clients see there, and of no other."""
    return f"the maintenance page is {'shown' if on else 'hidden'} on {', '.join(entries)} alone"


def fence(told: Told) -> str:
    """Say whether clients come to an app host."""
    already = "" if told["changed"] else "already "
    if not told["off"]:
        other = "; it stays out for another reason, which `status` tells" if told["host"] in told["fenced"] else ""
        return f"{told['environment']}: {told['host']} is {already}let in by every entry{other}"
    ends = (
        ""
        if all(told["emptied"].values())
        else "; some connections that were open before still are (websockets, long downloads)"
    )
    return f"{told['environment']}: no entry sends clients to {told['host']}{ends}" + (already and " (as before)")


def unlocked(told: Told) -> str:
    """Say whose lock was broken, and who was away meanwhile."""
    broken, env = told["broken"], told["environment"]
    said = (
        f"{env}: broke the lock of {broken['owner']} ({broken['purpose']}, since {broken['since']})"
        if broken
        else f"{env}: nobody held the lock"
    )
    lines = [said]
    if "took_over" in told:
        of = told["took_over"]
        ledger = f"the ledger is {of['of']}'s copy, {of['lines']} lines" if of else "no host has more of the ledger"
        lines.append(f"it has taken over: {ledger}; the next `{paths.command('deploy', env)}` tells the other hosts")
    return "\n".join([*lines, *(why.partition("\n")[0] for why in told.get("unreachable", {}).values())])


def word(told: Told) -> str:
    """Say what was said to which release."""
    way = "goes on with its next stage, unless a verdict is against it" if told["word"] == "promote" else "goes back"
    return f"{told['environment']}: {told['release']} {way}"


def at_work(env: str, held: Told) -> str:
    """Say who holds a lock whose lease still runs, and what breaking it would do to him."""
    who = f"{held['owner']} is at work on {env} ({held['purpose']}, since {held['since']})"
    return f"{who}, and holds the lock at least until {held['until']}; without it that run fails and goes back"


def takes_over(env: str, told: Told) -> str:
    """Say which host takes over lock and ledger, and what must be so before it may."""
    name = next((name for name, seen in told["hosts"].items() if "arbiter" in seen.get("roles", [])), "no host")
    return f"{name} takes over lock and ledger of {env}: whoever kept them before must be off, for good"


def output(told: Told) -> str:
    """Say what a process wrote."""
    return str(told["output"]).rstrip() or f"{told['process']} ended well and wrote nothing"


def arbiter(told: Told) -> Told:
    """Return what the arbiter said."""
    return next((seen for seen in told["hosts"].values() if "arbiter" in seen.get("roles", [])), {})


def _below(text: str, *, before: str = "") -> list[str]:
    """Return a text as it fits the screen; of a long one the rest stands below its beginning."""
    return textwrap.wrap(text, WIDTH, initial_indent=before, subsequent_indent="    ", break_on_hyphens=False)


def ledger(told: Told) -> str:
    """List the releases in the order of the ledger, and where a rollback would lead."""
    seen = arbiter(told)
    rows, reasons = [("release", "status", "by", "commit")], [""]
    for entry in seen.get("history", []):
        status = standing(entry, live=seen["shift"]["release_stable"]) + (", hotfix" if entry.get("hotfix") else "")
        rows.append((entry["release"], status, entry["who"] or "", commit(entry)))
        without = f"without {', '.join(entry['left_out'])}" if entry.get("left_out") else ""
        reasons.append(pointing.entry(entry) or str(entry["reason"] or "").partition("\n")[0] or without)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines: list[str] = []
    for row, reason in zip(rows, reasons, strict=True):
        line = "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[3]])
        lines += _below(line) + _below(reason, before="    ")
    target = seen.get("would_roll_back_to") or "nothing"
    others = [
        f"{each['at']}  {each['who']} {before}{each['reason']}"
        for kind, before in (("unlocks", ""), ("scales", "scaled "))
        for each in seen.get(kind, [])
    ]
    return "\n".join([*lines, *(line for each in others for line in _below(each)), f"rollback would go to: {target}"])


def commit(entry: Told) -> str:
    """Say which commit a release is: its first line, after what was deployed where that says more than its own id."""
    ref, subject = str(entry.get("ref") or ""), str(entry.get("subject") or "")
    said = "" if ref in ("HEAD", entry.get("commit")) else ref
    return printable(": ".join(part for part in (said, subject) if part))


def standing(entry: Told, *, live: str) -> str:
    """Say what a release is, by its line in the ledger."""
    if entry["release"] == live:
        return "live"
    if entry["withdrawn"]:
        return "withdrawn"
    return "good" if entry["good"] else str(entry["status"])
