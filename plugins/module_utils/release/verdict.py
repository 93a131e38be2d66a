"""Whether a new release goes on: PROMOTE, HOLD, ROLLBACK or NO_DATA, from what clients of both releases got.

A pure function over `canary.facts.Evidence`, with time in it. Its rules, the first that holds decides; why they are as
they are, and what they take for granted, is in docs/decisions/0021-verdict.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import evalues, facts
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Arm, Draw, Evidence, Minute
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits

PROMOTE, HOLD, ROLLBACK, NO_DATA = "promote", "hold", "rollback", "no_data"
DEFAULTS = Limits()
LEAST_REQUESTS = 20  # below it a percentage is none
LEAST_PROBES = 3  # the same, of probes
LEAST_MINUTES = 2
LEAST_HANGING = 4
OLD_ANSWERS = 10  # times as many as hang with it: where clients wait for news by design, many do with either
LEAST_FAILING = 2  # one client that is broken says nothing of a release
SUSPECT = math.log(20)  # what tells new from old where many requests fail for long already
SHARE_SURE = math.log(10_000)
SHARE_OFF = 1.25
SHARED_S = 120.0


@dataclass(frozen=True)
class Verdict:
    """`word` is one of four, `rule` says by which rule, `ask` whether a person must decide; figures are the rule's."""

    word: str
    rule: str
    ask: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)


def judge(evidence: Evidence, limits: Limits = DEFAULTS) -> Verdict:
    """Return the verdict on a new release at `evidence.now`."""
    if evidence.operator == "abort":
        return Verdict(ROLLBACK, "operator")
    log_errors = evalues.log_e([(draw.share, *draw.failing) for draw in evidence.draws])
    found = [
        _hanging(evidence),
        _compared(evidence, limits, log_errors),
        _signals(evidence),
        _lasting(evidence, limits, log_errors),
    ]
    against = [each for each in found if each]
    back = [each for each in against if each.word == ROLLBACK]
    if back:
        return back[0]
    if evidence.operator == "promote":
        return Verdict(PROMOTE, "operator")
    return (
        (against[0] if against else None)
        or _shared_now(evidence, limits)
        or _slow_for_all(evidence, limits)
        or _time(evidence, limits)
    )


# What speaks against new alone


def _hanging(evidence: Evidence) -> Optional[Verdict]:
    """Requests that nobody answers leave no line in a log until their clients give up."""
    waiting = evidence.waiting
    if waiting is None or waiting.answered[0] or waiting.hanging[0] < LEAST_HANGING:
        return None
    figures = {"hanging": waiting.hanging, "answered": waiting.answered, "within_s": waiting.within_s}
    if waiting.answered[1] >= max(LEAST_HANGING, OLD_ANSWERS * waiting.hanging[1]):
        return Verdict(ROLLBACK, "hanging", figures=figures)
    return Verdict(HOLD, "shared", ask=evidence.now >= evidence.until, figures=figures) if waiting.hanging[1] else None


def _compared(evidence: Evidence, limits: Limits, log_errors: float) -> Optional[Verdict]:
    """The sequential tests: what clients of new got against what clients of old got at the same time."""
    verdict = None
    if log_errors >= _sure(evidence, limits):
        verdict = _errors(evidence, limits)
    verdict = verdict or _slower(evidence, limits)
    seen = [(draw.share, *draw.seen) for draw in evidence.draws]
    log_share = evalues.log_e(seen, evalues.OTHER)
    if log_share < SHARE_SURE:
        return verdict
    off = evalues.odds(seen)
    if 1 / SHARE_OFF < off < SHARE_OFF or (verdict and off <= 1):
        return verdict  # with fewer clients than were meant, new is not judged too hard
    return Verdict(HOLD, "share", ask=True, figures={"log_e": log_share, "odds": off})


def _sure(evidence: Evidence, limits: Limits) -> float:
    """Return the logarithm of the e-value from which on clients of new surely fail more often."""
    return -math.log(limits.alpha_errors(baseline=evidence.baseline))


def _errors(evidence: Evidence, limits: Limits) -> Optional[Verdict]:
    """Beyond being sure: enough clients, a difference that matters, and no mere moment."""
    failing = [(draw.share, len(left), draw.failing[1]) for draw, left in _without_flutter(evidence, limits)]
    odds, log_e = evalues.odds(failing), evalues.log_e(failing)
    if (
        log_e < _sure(evidence, limits)
        or sum(new for _, new, _ in failing) < limits.least_failing
        or odds < limits.worse_factor
    ):
        return None
    return Verdict(ROLLBACK, "errors", figures={"log_e": log_e, "odds": odds})


def _without_flutter(evidence: Evidence, limits: Limits) -> list[tuple[Draw, list[float]]]:
    """Return each draw with when clients of new failed, without the worst `flutter_s` where most were in it.

    It only takes away what speaks against new, so the chance of a false alarm grows by nothing.
    """
    times = sorted(at for draw in evidence.draws for at in draw.failed_at)
    worst, until, behind = 0, -math.inf, 0
    for ahead, at in enumerate(times):
        while at - times[behind] >= limits.flutter_s:
            behind += 1
        if ahead - behind + 1 > worst:
            worst, until = ahead - behind + 1, at
    if worst * 2 <= len(times):
        until = -math.inf
    return [
        (draw, [at for at in draw.failed_at if not until - limits.flutter_s < at <= until]) for draw in evidence.draws
    ]


def _slower(evidence: Evidence, limits: Limits) -> Optional[Verdict]:
    levels = [_level(evidence, level) for level in range(len(facts.LEVELS_S))]
    log_slow = evalues.log_mean(levels) if max(levels) > 0 else 0.0
    if log_slow < -math.log(limits.alpha_slow):
        return None
    compared = _both_served(evidence)
    if len(compared) < LEAST_MINUTES:
        return None
    new, old = _p95s(compared)
    worst = max(compared, key=lambda each: facts.p95([each.new]))
    for above, below in ((new, old), _p95s([each for each in compared if each is not worst])):
        if not below or above < limits.slower_than_s or above < limits.slower_factor * below:
            return None
    level = facts.LEVELS_S[max(range(len(levels)), key=levels.__getitem__)]
    return Verdict(ROLLBACK, "slower", figures={"log_e": log_slow, "p95_s": (new, old), "level_s": level})


def _level(evidence: Evidence, level: int) -> float:
    """Return the logarithm of a level's e-value; where new is not slower, the least there is, which errs for new."""
    counts = [(draw.share, *draw.slow[level]) for draw in evidence.draws]
    return evalues.log_e(counts) if evalues.odds(counts) > 1 else -math.inf


def _p95s(minutes: Sequence[Minute]) -> tuple[float, float]:
    return facts.p95(each.new for each in minutes), facts.p95(each.old for each in minutes)


def _both_served(evidence: Evidence) -> Sequence[Minute]:
    """Return the minutes in which clients of both arms waited for answers, once new was warm."""
    return [each for each in evidence.minutes if each.old.seconds.bins and each.new.seconds.bins]


def _signals(evidence: Evidence) -> Optional[Verdict]:
    """Probes and what the application declares; what is as bad with old speaks against neither."""
    held = None
    for signal in evidence.signals:
        if not signal.bad(signal.new):
            continue
        figures: dict[str, Any] = {"signal": signal.name, "new": signal.new, "old": signal.old}
        if any(signal.said):
            figures["said"] = signal.said
        if signal.below(signal.old):
            held = held or Verdict(HOLD, "shared", ask=evidence.now >= evidence.until, figures=figures)
        elif signal.back:
            return Verdict(ROLLBACK, "signal", figures=figures)
        else:
            held = held or Verdict(HOLD, "signal", ask=True, figures=figures)
    return held


def _lasting(evidence: Evidence, limits: Limits, log_errors: float) -> Optional[Verdict]:
    """What lasts for minutes: many failures send back or ask, whatever comparisons say yet, where it is new's alone."""
    for percent, seconds, back in (
        (limits.errors_back_percent, limits.errors_back_s, True),
        (limits.errors_ask_percent, limits.errors_ask_s, False),
    ):
        minutes = evidence.over_minutes(seconds) if percent else ()
        if not minutes or not _lasts(minutes, lambda each: each.new, percent, limits):
            continue
        figures = _rates(evidence, minutes, seconds)
        both = _with_old(evidence, minutes, limits)
        if both:
            return Verdict(HOLD, both, ask=True, figures=figures)
        if back and (evidence.share >= 1 or log_errors >= SUSPECT):
            return Verdict(ROLLBACK, "many_errors", figures=figures)
        return Verdict(HOLD, "some_errors", ask=True, figures=figures)
    return None


def _lasts(minutes: Sequence[Minute], arm: Callable[[Minute], Arm], percent: float, limits: Limits) -> bool:
    """Say whether more than `percent` failed, also without the worst minute, for several clients: else it flutters."""
    failed, total = facts.requests(map(arm, minutes))
    if total < LEAST_REQUESTS or failed * 100 <= percent * total:
        return False
    worst = max(minutes, key=lambda each: arm(each).failed)
    failed, total = failed - arm(worst).failed, total - arm(worst).requests
    if len(minutes) > 1 and failed * 100 <= percent * total:
        return False
    return facts.clients(map(arm, minutes)) >= limits.least_failing


def _with_old(evidence: Evidence, minutes: Sequence[Minute], limits: Limits) -> str:
    """Return by which rule old's failures hold a new release that has many; nothing where they are new's alone.

    `shared`: old fails at least half as often, or over what one is asked about; of clients, or probes. Beside a
    baseline old is either: its fresh processes, or all the others. In the watch it has probes alone, with what failed
    with new and is asked of both once more, and for a while the clients of the stage before.

    `unsure`: old fails, too, and by chance alone it may seem to do so less than half as often.
    """
    failed, total = facts.requests(each.new for each in minutes)
    half, most = failed / total / 2, limits.errors_ask_percent or 100
    served = [facts.requests(each.old for each in minutes), facts.requests(each.rest for each in minutes)]
    rates = [bad / of for bad, of in served if of >= LEAST_REQUESTS]
    again, with_both = evidence.replayed if evidence.share >= 1 else (0, 0)
    good, of = evidence.old_probes
    if evidence.share >= 1 and of >= LEAST_PROBES:
        rates.append((of - good) / of)
    if any(rate > 0 and (rate >= half or rate * 100 > most) for rate in rates) or 0 < again <= with_both * 2:
        return "shared"
    bad, came = (sum(each) for each in zip(*served))
    may_be = ((bad, came, half), (with_both, again, 0.5))
    return "unsure" if any(b and not evalues.surely_below(b, of, least, chance=0.1) for b, of, least in may_be) else ""


def _rates(evidence: Evidence, minutes: Sequence[Minute], seconds: float) -> dict[str, Any]:
    return {
        "new": facts.requests(each.new for each in minutes),
        "old": facts.requests(each.old for each in minutes),
        **({"rest": facts.requests(each.rest for each in minutes)} if evidence.baseline else {}),
        "old_probes": evidence.old_probes,
        "replayed": evidence.replayed,
        "within_s": seconds,
    }


# What speaks against neither, and the time


def _shared_now(evidence: Evidence, limits: Limits) -> Optional[Verdict]:
    """In an outage of both nothing is promoted, and nobody is asked before it has lasted."""
    minutes = evidence.over_minutes(SHARED_S)
    percent = limits.errors_ask_percent
    if not minutes or not percent or not _lasts(minutes, lambda each: each.new, percent, limits):
        return None
    both = _with_old(evidence, minutes, limits)
    return Verdict(HOLD, both, figures=_rates(evidence, minutes, SHARED_S)) if both else None


def _slow_for_all(evidence: Evidence, limits: Limits) -> Optional[Verdict]:
    """A p95 over the bound: more than five in a hundred requests took longer, and surely so."""
    minutes = evidence.over_minutes(limits.p95_ask_for_s) if limits.p95_ask_s else ()
    total = sum(each.new.seconds.count for each in minutes)
    over = sum(each.new.over(limits.p95_ask_s) for each in minutes)
    if not over or not evalues.surely_below(total - over, total, 0.95, chance=0.001):
        return None
    return Verdict(HOLD, "p95", ask=True, figures={"p95_s": _p95s(minutes), "within_s": limits.p95_ask_for_s})


def _time(evidence: Evidence, limits: Limits) -> Verdict:
    """Nothing speaks against it: then the stage's time decides, and whether enough clients came to say so."""
    clients = evidence.in_stage.came[0]
    came = sum(each.new.requests for each in evidence.of_stage)
    figures = {"clients": clients, "requests": came}
    # Once everyone has new, nothing is compared any more, and a quiet hour says no less than a busy one.
    if evidence.share < 1 and min(clients, came) < limits.least_clients:
        # As long again: then smoke probes have said what they can, and a person must know whether that is enough.
        ask = evidence.now >= evidence.until + (evidence.until - evidence.since)
        return Verdict(NO_DATA, "few", ask=ask, figures=figures)
    if evidence.now < evidence.until:
        return Verdict(HOLD, "time", figures={**figures, "left_s": evidence.until - evidence.now})
    return _most_fail(evidence) or Verdict(PROMOTE, "time", figures=figures)


def _most_fail(evidence: Evidence) -> Optional[Verdict]:
    """Where most clients of new see it fail, and are too few to send it back: that is known to nobody but a person."""
    failing, came = evidence.in_stage.failing[0], evidence.in_stage.came[0]
    if evidence.share >= 1 or failing < LEAST_FAILING or failing * 2 < came:
        return None
    new, old = (facts.requests(getattr(each, arm) for each in evidence.of_stage) for arm in ("new", "old"))
    if new[0] * 2 < new[1] or old[0] * 2 * new[1] >= new[0] * old[1] > 0:
        return None
    return Verdict(HOLD, "most_fail", ask=True, figures={"new": new, "old": old})
