"""What is wrong with the backups of an environment, how much, and what to type: a judgement over what was found."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.space import size
from ansible_collections.ferryman.ops.plugins.module_utils.backup.wal import SEGMENT

DAY_S = 86400
HOUR_S = 3600
LATE_S = 2 * HOUR_S  # a schedule's random delay, and more; beside it, as long as the last one took
GOOD_RATE = 0.98  # BAK-5
RATE_DAYS = 30
WAITING = 16  # files of WAL that may wait to be archived


class Rule(NamedTuple):
    """When something is wrong. `every_s` is the time between two backups of a set."""

    sets: tuple[str, ...]
    every_s: float = DAY_S
    wal_lag_s: float = 300
    full_days: float = 7
    drill_days: float = 35
    full_drill_days: float = 0  # nobody asks for one
    copy_every_s: float = DAY_S


class Wrong(NamedTuple):
    """One thing that is wrong; `do` is the command that helps."""

    severity: str
    set: str
    said: str
    do: str


def judge(state: dict[str, Any], rule: Rule, now: float) -> list[Wrong]:
    """Return everything that is wrong, worst first. `now` is in seconds since 1970.

    `state` holds `records` and `drills` (as in decision 14), `stream` ({running, lag_s, gap, waits, synchronous,
    timeline: the source's, refusal: why the newest good backup does not lead there, beside: how files of WAL
    come beside it, as `incoming.state` has it, with `refused`; None: none are to}; None: nobody could say; absent:
    there is none), `space` ({free, missing, days_until_full} or None), `copies` off site (absent: none are sent).
    """
    found = [wrong for kind in rule.sets for wrong in _of_set(state["records"], kind, rule, now)]
    if "database" in rule.sets and "stream" in state:
        found += _of_stream(state["stream"], rule)
        found += _beside((state["stream"] or {}).get("beside"), rule)
        found += _of_history(state["stream"], of.newest(state["records"], "database", of.is_restorable))
    found += _of_space(state.get("space"), rule) + of_drills(state["drills"], rule, now)
    found += _of_applications(state["drills"])
    if "copies" in state:
        found += _of_copies(state["copies"], rule, now)
    return sorted(found, key=lambda wrong: wrong.severity)


def _of_set(records: list[dict[str, Any]], kind: str, rule: Rule, now: float) -> list[Wrong]:
    listed = sorted((one for one in records if one["set"] == kind), key=of.taken_at)
    take, look = f"backup.run --set {kind}", f"backup.check --set {kind}"
    found = []
    passed, whole = (of.newest(records, kind, good) for good in (of.is_restorable, of.is_whole))
    if passed is None:
        said = f"none of {len(listed)} backups has passed a check" if listed else "no backup was ever taken"
        found.append(Wrong("P0", kind, said, look if whole else take))
    if whole is not None:
        age = now - of.taken_at(whole)
        late_s = LATE_S + whole["duration_s"]
        if age > rule.every_s + late_s:
            severity = "P1" if age > 2 * rule.every_s + late_s else "P2"
            found.append(Wrong(severity, kind, f"the last backup is {span(age)} old", take))
        if whole["duration_s"] > rule.every_s:
            said = f"{whole['id']} took {span(whole['duration_s'])}, and one is due every {span(rule.every_s)}"
            found.append(Wrong("P2", kind, said, "backup.show"))
        if of.has_failed_check(whole):
            said = "; ".join(each["said"] for each in whole["check"]["findings"]) or "it says nothing of why"
            found.append(Wrong("P1", kind, f"{whole['id']} did not pass its check: {said}", take))
        elif not of.has_passed(whole) and of.is_restorable(whole):
            found.append(Wrong("P1", kind, f"{whole['id']} leads to its own point and no further", take))
    bad = [one["id"] for one in listed if one is not whole and of.has_failed_check(one)]
    if bad:
        found.append(Wrong("P1", kind, f"older ones did not pass their last check: {', '.join(bad)}", look))
    recent = [one for one in listed if now - of.taken_at(one) <= RATE_DAYS * DAY_S]
    rate = success_rate(recent)
    if rate is not None and rate < GOOD_RATE:
        last = next(one for one in reversed(recent) if not of.is_whole(one))
        said = f"{rate:.0%} of {len(recent)} backups of {RATE_DAYS} days succeeded; {last['id']}: {last['reason']}"
        found.append(Wrong("P3", kind, said, take))
    return found


def _of_stream(stream: dict[str, Any] | None, rule: Rule) -> list[Wrong]:
    if stream is None:
        return [Wrong("P1", "database", "nobody could say how far the stream of WAL is", "backup.check --set database")]
    if stream.get("gap"):
        return [Wrong("P1", "database", f"WAL is missing: {stream['gap']}", "backup.run --set database")]
    lag = stream.get("lag_s")
    if not stream.get("running") or lag is None or lag > rule.wal_lag_s:
        behind = "" if lag is None else f", {span(lag)} behind"
        said = f"the stream of WAL is {'slow' if stream.get('running') else 'down'}{behind}"
        return [Wrong("P1", "database", said, "backup.check --set database")]
    if stream.get("synchronous") and not stream.get("waits"):
        said = "commits do not wait for the archive, as backup_synchronous says that they do"
        return [Wrong("P1", "database", said, "provision")]
    return []


def _beside(told: dict[str, Any] | None, rule: Rule) -> list[Wrong]:
    """Return what is wrong with the second way of WAL; None is none."""
    if told is None:
        return []
    found = []
    if told["refused"]:
        said = f"{len(told['refused'])} files came beside the stream that are not of this archive: {told['refused'][0]}"
        found.append(Wrong("P1", "database", f"{said}; whose are they? Remove them once you know", "backup.status"))
    if not told["on"]:
        said = "the source sends no files of WAL beside the stream, as backup_wal_archive says that it does"
        return [*found, Wrong("P2", "database", said, "provision")]
    waiting, age = told["waiting"] or 0, told["age_s"]
    if waiting > WAITING or (told["failing"] and (age is None or age > rule.wal_lag_s)):
        last = "none ever did" if age is None else f"the last {span(age)} ago"
        held = f"{waiting} wait on the source's disk ({size(waiting * SEGMENT)}), {told['failed']} tries failed"
        said = f"files of WAL do not arrive beside the stream ({last}): {held}; the source's log says why"
        found.append(Wrong("P2", "database", said, "provision"))
    return found


def _of_history(stream: dict[str, Any] | None, passed: dict[str, Any] | None) -> list[Wrong]:
    """Return what it means that the source is on another history than the newest backup that passed its check."""
    if stream is None or passed is None:
        return []
    line, own = stream.get("timeline"), of.timeline(passed)
    if None in (line, own) or line == own:
        return []
    said = f"the source is on timeline {line}, and the newest backup that passed its check is of {own}"
    means = "what was written since is restored from an older backup alone"
    if stream["refusal"]:
        means = f"what was written since cannot be restored ({stream['refusal']})"
    return [Wrong("P1", "database", f"{said}: {means}", "backup.run --set database")]


def _of_space(space: dict[str, Any] | None, rule: Rule) -> list[Wrong]:
    do = "backup.list"  # what is there, and why it is kept
    if space is None:
        return [Wrong("P2", "", "nobody could say how much of the archive's disk is free", do)]
    if space["missing"] > 0:
        return [Wrong("P2", "", f"the next backup does not fit: {size(space['missing'])} too little", do)]
    days = space.get("days_until_full")
    if days is not None and days < rule.full_days:
        return [Wrong("P2", "", f"the archive's disk is full in {days:.0f} days", do)]
    return []


def _of_copies(copies: list[dict[str, Any]], rule: Rule, now: float) -> list[Wrong]:
    """Return what is wrong with the copies off site: none, one that was not sent, a check that failed, an old one."""
    do, found = "backup.offsite", []
    listed = sorted(copies, key=of.taken_at)
    whole = [one for one in listed if of.is_whole(one)]
    if not whole:
        said = f"; the last try: {listed[-1]['reason']}" if listed else ""
        return [Wrong("P1", of.OFFSITE, f"no copy was ever sent{said}", do)]
    if listed[-1] is not whole[-1]:
        found.append(Wrong("P2", of.OFFSITE, f"{listed[-1]['id']} was not sent: {listed[-1]['reason']}", do))
    if of.has_failed_check(whole[-1]):
        said = "; ".join(each["said"] for each in whole[-1]["check"]["findings"])
        found.append(Wrong("P1", of.OFFSITE, f"{whole[-1]['id']} did not pass its check: {said}", do))
    age = now - of.taken_at(whole[-1])
    if age > rule.copy_every_s + LATE_S:
        severity = "P1" if age > 2 * rule.copy_every_s + LATE_S else "P2"
        found.append(Wrong(severity, of.OFFSITE, f"the last copy is {span(age)} old", do))
    return found


def of_drills(drills: list[dict[str, Any]], rule: Rule, now: float) -> list[Wrong]:
    """Return of which sets nobody knows that they can be restored: no drill, one that failed, an old one."""
    lasts = [of_drill(of.last_drill(drills, kind), kind, rule, now) for kind in _drilled(drills, rule)]
    return [wrong for wrong in lasts if wrong]


def _drilled(drills: list[dict[str, Any]], rule: Rule) -> list[str]:
    """Return what drills are looked at: of each set, and the full one where it is asked for, or one was made."""
    full = [of.FULL] if rule.full_drill_days or of.last_drill(drills, of.FULL) else []
    return [*rule.sets, *full]


def _of_applications(drills: list[dict[str, Any]]) -> list[Wrong]:
    """Return of which applications nobody could ask whether they are well on what the last drill restored."""
    return [
        Wrong("P3", "database", f"the last drill could not ask {site}: {one['said']}", "backup.drill --set database")
        for site, one in applications(drills).items()
        if one["result"] == "not asked"
    ]


def applications(drills: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what the last drill of the database says of each application; of one of an older Ferryman, nothing."""
    return dict((of.last_drill(drills, "database") or {}).get("applications", {}))


def of_drill(last: dict[str, Any] | None, kind: str, rule: Rule, now: float) -> Wrong | None:
    """Return what is wrong with the last drill of a set or the full one (None: there was none), or None."""
    do, days = f"backup.drill --set {kind}", rule.drill_days
    if kind == of.FULL:
        do, days = "drill.full", rule.full_drill_days or float("inf")
    if last is None:
        return Wrong("P3", kind, "no drill was ever made: nobody knows whether this can be restored", do)
    if last["result"] != "passed":
        failed = "; ".join(f"{one['name']}: {one['said']}" for one in last["checks"] if one["result"] != "passed")
        return Wrong("P1", kind, f"the last drill failed: {failed or last.get('reason') or last['id']}", do)
    age = now - of.taken_at(last)
    return Wrong("P2", kind, f"the last drill is {span(age)} old", do) if age > days * DAY_S else None


def judged(drills: list[dict[str, Any]], rule: Rule, required: bool, now: float) -> list[dict[str, str]]:
    """Return a judgement on the last drill of each set and the full one, as a check of hosts has them.

    Each is {key, state, said, right}. What is not well is wrong only where drills are `required`; else it is a note.
    """
    found = []
    for kind in _drilled(drills, rule):
        last = of.last_drill(drills, kind)
        wrong = of_drill(last, kind, rule, now)
        if wrong:
            state = "wrong" if required else "note"
            found.append({"key": f"drill {kind}", "state": state, "said": wrong.said, "right": wrong.do})
        elif last:
            said = f"passed {span(now - of.taken_at(last))} ago: restored and looked at in {span(last['rto_s'])}"
            found.append({"key": f"drill {kind}", "state": "good", "said": said, "right": ""})
    for site, one in applications(drills).items():
        state = "good" if one["result"] == "passed" else "note"
        said = f"{one['result']}: {one['said']}"
        found.append(
            {
                "key": f"drill application {site}",
                "state": state,
                "said": said,
                "right": "" if state == "good" else "backup.drill --set database",
            }
        )
    return found


def success_rate(records: list[dict[str, Any]]) -> float | None:
    """Return which part of the backups was taken to its end; None of none."""
    return sum(map(of.is_whole, records)) / len(records) if records else None


def span(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, of_s in (("days", DAY_S), ("hours", HOUR_S), ("minutes", 60)):
        if seconds >= 2 * of_s:
            return f"{seconds / of_s:.0f} {unit}"
    return f"{seconds:.0f} s"
