"""The answer of `status`: everything about an application on one screen, what is wrong first of all that is coloured.

Nothing is decided here; a fault is something that the hosts told, put beside the command that mends it.
"""

import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ferryman import paths, scaling, telling, terminal

Told = Mapping[str, Any]
WAY = "way to "  # before an app host's name, what an entry says of it
LABEL = 14  # columns before what a line says
SCARCE_BYTES = 256 * 2**20  # below it a deploy soon has no room
WHOLE = ("provision", "maintenance.roll")  # of the whole environment, whatever its applications
GOOD, BAD, PLAIN = "32", "31;1", ""


class Fault(NamedTuple):
    """What is wrong, and the words of the command that mends it (none where the text itself says what to do)."""

    what: str
    mend: str = ""


def state(told: Told) -> str:
    """Say what is served, and what is wrong."""
    colour = terminal.coloured(sys.stdout)
    seen = telling.arbiter(told)
    lines = list(_clients(told, seen))
    pages = {host: answer["maintenance"] for host, answer in told["hosts"].items() if "maintenance" in answer}
    if any(pages.values()) and not any(map(exchanges, told["hosts"].values())):  # on every entry at once: told once
        some = telling.page_on([host for host, on in pages.items() if on], on=True)
        what = telling.PAGE if all(pages.values()) else some
        lines += _fault(Fault(what, "maintenance.off"), told["environment"], seen.get("app", ""))
    for host, answer in told["hosts"].items():
        lines.append(("", f"{host} ({', '.join(answer['roles'])})", PLAIN))
        lines += _host(answer, seen)
        for fault in (*wrong(answer, seen), *_apart(answer, seen), *_unlike(answer, seen), *_ahead(answer, seen)):
            lines += _fault(fault, told["environment"], answer.get("app", ""))
    for host, why in told.get("unreachable", {}).items():
        lines += [("", host, PLAIN), *_fault(Fault(why.partition("\n")[0]), told["environment"], seen.get("app", ""))]
    return "\n".join(text for line in lines for text in _laid_out(*line, colour=colour))


Line = tuple[str, str, str]


def _laid_out(label: str, text: str, paint: str, *, colour: bool) -> Iterator[str]:
    """Return a line as it fits the screen; of a long one the rest stands below its beginning."""
    if not label:
        yield text
        return
    shown = f"  {label:<{LABEL - 2}}"
    first, *rest = textwrap.wrap(text, telling.WIDTH - LABEL, break_on_hyphens=False, break_long_words=False) or [""]
    yield (f"\x1b[{paint}m{shown}\x1b[0m" if colour and paint else shown) + first
    yield from (" " * LABEL + line for line in rest)


def _fault(fault: Fault, env: str, app: str) -> Iterator[Line]:
    yield "wrong", fault.what, BAD
    if fault.mend:
        yield "mended by", paths.command(fault.mend, env, "" if fault.mend in WHOLE else app), PLAIN


def _clients(told: Told, seen: Told) -> Iterator[Line]:
    if not seen:
        return
    yield "", f"{seen['app']} on {told['environment']}: {seen['url']}", PLAIN
    got = told.get("outside")
    if got and "error" in got:
        yield "from here", f"no answer: {got['error']}", BAD
    elif got:
        good = got["status"] < telling.ILL
        yield "from here", f"{got['status']} in {got['seconds']:.2f} s", GOOD if good else BAD


def _host(seen: Told, arbiter: Told) -> Iterator[Line]:
    yield from _releases(seen)
    if "slots" in seen:
        yield "slots", ", ".join(f"{slot} {release or 'empty'}" for slot, release in seen["slots"].items()), PLAIN
    if seen.get("baseline"):
        yield "baseline", f"{seen['baseline']}: fresh processes of it, which the new release is compared with", PLAIN
    scaled = [_size(name, told) for name, told in (seen.get("sizes") or {}).items() if "who" in told]
    if scaled:
        yield "scaled", ", ".join(scaled), PLAIN
    if "share" in seen:
        share = seen["share"]
        yield "share", f"{share} % of the clients on green, {100 - share} % on blue", PLAIN
    if seen.get("pending") and seen["shift"].get("phase") == "shifting" and _busy(arbiter):
        yield "switch", f"to {seen['shift']['release_candidate']}, not confirmed yet", PLAIN
    if "lock" in seen:
        yield "lock", _lock(seen["lock"]), PLAIN
    for each in seen.get("waiting") or []:
        yield "waits", f"{each['owner']}: {each['purpose']}, since {each['since']}", PLAIN
    if seen.get("health"):
        ill = [name for name, answer in seen["health"].items() if not answer["good"]]
        yield "health", f"well: {', '.join(name for name in seen['health'] if name not in ill) or 'nothing'}", GOOD
    for certificate in seen.get("certificates", []):
        yield "certificate", _certificate(certificate), BAD if _ill(certificate) else GOOD
    if "size_bytes" in seen:
        free, size = (seen[key] / 10**9 for key in ("free_bytes", "size_bytes"))
        yield "disk", f"{free:.1f} of {size:.1f} GB free", PLAIN


def _releases(seen: Told) -> Iterator[Line]:
    """Say which release serves, which came next to it and what became of them, and where a rollback would go."""
    live = (seen.get("shift") or {}).get("release_stable") or seen.get("live", "")
    history = {entry["release"]: entry for entry in seen.get("history", [])}
    entry, names = history.get(live, {}), list(history)
    place = names.index(live) if live in names else len(names)
    said = ", ".join(filter(None, (telling.commit(entry), entry.get("who"), entry.get("at"))))
    yield "live", f"{live}{f' ({said})' if said else ''}" if live else "nothing yet", GOOD if live else PLAIN
    for label, some in (("before it", names[:place]), ("after it", names[place + 1 :])):
        for name in some[-1:]:
            yield label, f"{name} ({telling.standing(history[name], live=live)})", PLAIN
    if "would_roll_back_to" in seen:
        yield "rollback to", seen["would_roll_back_to"] or "nothing: there is no good release before", PLAIN


def _size(name: str, told: Told) -> str:
    """Say how many instances of a process run, and who wanted it."""
    return f"{name}={told['instances']} ({told['declared']} declared; {told['who']}, {told['since']})"


def _busy(arbiter: Told) -> bool:
    """Say whether a run is at work, on whichever hosts: its driver was heard of by who keeps the lock."""
    return bool((arbiter.get("lock") or {}).get("alive"))


def _lock(lock: Told) -> str:
    if not lock.get("alive"):
        return "free"
    return f"{lock['owner']}: {lock['purpose']}, since {lock['since']}, at least until {lock['until']}"


def _certificate(told: Told) -> str:
    left = f"{told['days_left']:.0f} days left" if "days_left" in told else "there is none yet"
    attempt = told.get("last_attempt") or {}
    last = f"last asked {attempt['at']}: {attempt['result']}" if attempt else "never asked for"
    return f"{', '.join(told['domains'])} ({told['mode']}): {left}; {last}"


def _ill(certificate: Told) -> str:
    """Return why a certificate is not well; empty where it is."""
    attempt, served = certificate.get("last_attempt") or {}, certificate.get("served") or {}
    if attempt.get("result") == "failed":
        return f"the last renewal failed: {attempt['reason']}"
    if served.get("state", "same") != "same":
        return f"clients are not served it: {served['detail']}"
    if certificate.get("near_expiry") or "days_left" not in certificate:
        return "it should have been renewed by now"
    return ""


def exchanges(seen: Told) -> bool:
    """Say whether a rollback that takes the database along has stopped everything, behind the maintenance page."""
    return (seen.get("exchange") or {}).get("phase") in ("quiet", "exchange")


def wrong(seen: Told, arbiter: Told) -> Iterator[Fault]:
    """Return what is wrong on a host, each with the way out; the `arbiter` knows whether a run is at work on it."""
    if exchanges(seen):
        yield _exchange(seen)
        return
    yield from _unfinished(seen, arbiter)
    back = "rollback" if seen.get("would_roll_back_to") else "deploy"
    answers = {name: answer["said"] for name, answer in (seen.get("health") or {}).items() if not answer["good"]}
    for name, said in answers.items():
        if name.startswith(WAY):
            app_host = name.removeprefix(WAY)
            yield Fault(f"{app_host} does not serve ({said}): clients are sent to the other app hosts until it does")
        else:
            yield Fault(f"{name}: {said}", "provision" if name == "entry" else back)
    yield from _fenced(seen)
    for ill in seen.get("ill") or []:
        if ill.partition(": ")[0] not in answers:
            yield Fault(ill, back)
    if seen.get("edited"):
        names = ", ".join(seen["edited"][:5])
        yield Fault(f"the live release was edited by hand: {names}; a deploy brings the right files", "deploy")
    for certificate in seen.get("certificates") or []:
        if _ill(certificate):
            yield Fault(f"certificate {certificate['name']}: {_ill(certificate)}", "provision")
    if seen.get("free_bytes", SCARCE_BYTES) < SCARCE_BYTES:
        yield Fault(
            "the disk is nearly full: free some, or lower release_keep, which the next deploy follows", "deploy"
        )
    for name in ("journal", "ledger"):
        problem = (seen.get(name) or {}).get("wrong")
        if problem:
            way_out = seen[name].get("way_out") or "compare it with a backup before you go on"
            yield Fault(f"{name}: {problem}: {way_out}")
    yield from map(Fault, seen.get("damaged") or [])


def _fenced(seen: Told) -> Iterator[Fault]:
    """Return whom an entry sends no clients to."""
    mends = {"away": "deploy", "hand": "fence.off {}", "maintenance": "maintenance.roll"}
    for name, fence in (seen.get("fenced") or {}).items():
        for reason, told in fence["for"].items():
            why = told["why"] or "no reason was given"
            yield Fault(
                f"{name} gets no clients since {told['since']} ({told['who']}): {why}", mends[reason].format(name)
            )


def _apart(seen: Told, arbiter: Told) -> Iterator[Fault]:
    """Return where a host has something else for live than the arbiter, and nothing pending would bring it there.

    While a run is at work its hosts commit one after the other.
    """
    mine, theirs = ((each.get("shift") or {}).get("release_stable") for each in (seen, arbiter))
    if arbiter and "shift" in seen and mine != theirs and not seen.get("pending") and not _busy(arbiter):
        brings = "a deploy brings it there"
        if seen.get("follows"):
            brings = "it asks it, and goes there by itself once it hears; a deploy brings it there now"
        yield Fault(f"it has {mine or 'nothing'} for live, and the arbiter {theirs}: {brings}", "deploy")


def _unlike(seen: Told, arbiter: Told) -> Iterator[Fault]:
    """Return where a host has not as many instances as the ledger has, and nobody is at work to mend that."""
    if not arbiter or _busy(arbiter):
        return
    ledger = arbiter.get("scaled") or {}
    wanted = {name: told["instances"] for name, told in (ledger.get("sizes") or {}).items()}
    if "sizes" in seen:
        mine = {name: told["instances"] for name, told in seen["sizes"].items() if "who" in told}
        wanted = {name: count for name, count in wanted.items() if name in seen["sizes"]}
        if mine != wanted:
            has, told = (_counts(each) or "nothing" for each in (mine, wanted))
            what = f"{has} is scaled here, and in the ledger {told}: scaling ended in its middle"
            yield Fault(what, f"scale {_counts({**dict.fromkeys(mine, scaling.DECLARED), **wanted})}")
    servers = seen.get("servers") or 0
    if servers and servers != (ledger.get("servers") or servers):
        what = f"clients are sent to {servers} processes of each app host, and {ledger['servers']} were asked for"
        yield Fault(what, f"scale {_counts(wanted)}")


def _ahead(seen: Told, arbiter: Told) -> Iterator[Fault]:
    """Return where a host has copied more of the ledger than there is."""
    ledger, copy = arbiter.get("ledger") or {}, seen.get("copy") or {}
    lines, copied = ledger.get("lines"), copy.get("seq", 0)
    apart = lines is not None and (copied > lines or (copied == lines and copy["head"] != ledger["head"]))
    if apart and seen is not arbiter:
        what = f"its copy of the ledger has {copied} lines, and the ledger itself {lines}, not the same"
        yield Fault(f"{what}: somebody changed it, or another host keeps it than before", "unlock --force")


def _counts(counts: Told) -> str:
    """Return counts of processes as they are typed."""
    return " ".join(f"{name}={count}" for name, count in counts.items())


def _exchange(seen: Told) -> Fault:
    what = f"a rollback takes database {seen['exchange']['database']} along: clients get the maintenance page"
    ends = "the host undoes it by itself, and the next deploy or rollback would at once"
    if _busy(seen):
        ends = "it ends by itself"
    elif seen["exchange"].get("committed"):
        ends = "it is committed, and the host brings it to its end by itself"
    return Fault(f"{what}; {ends}")


def _unfinished(seen: Told, arbiter: Told) -> Iterator[Fault]:
    """Return what a run left behind whose driver is gone, and what is in doubt, whoever is at work elsewhere."""
    if seen.get("pending") and seen["shift"].get("phase") == "doubt":
        asked = (seen["shift"].get("asks") or {}).get("address")
        release = seen["shift"].get("release_candidate")
        what = f"in doubt whether the switch to {release} was committed: the arbiter ({asked}) knows, and is asked"
        yield Fault(f"{what} until it answers; clients get the release before it, a deploy ends it now", "deploy")
        return
    if _busy(arbiter):
        return
    exchange = seen.get("exchange") or {}
    if exchange.get("phase") == "undone":
        what = f"a rollback was undone, and database {exchange['database']} is in its place again; the maintenance page"
        yield Fault(f"{what} goes by itself once the release that serves it is well: mend that, or deploy it", "deploy")
    elif exchange:
        what = f"a copy of database {exchange['database']} is left over of a rollback that broke off, and nothing else"
        yield Fault(what, "unlock")
    if seen.get("pending") and seen["shift"].get("phase") != "stable":
        release = seen["shift"].get("release_candidate")
        yield Fault(
            f"a switch to {release} is not confirmed: the guard goes back by itself, a deploy does so now", "deploy"
        )
    unfinished = seen.get("unfinished") or {}
    if unfinished:
        what = f"{unfinished['event']} of {unfinished['release']} by {unfinished['who']}"
        yield Fault(f"{what} did not end: nothing of it serves, a deploy tidies up", "deploy")
