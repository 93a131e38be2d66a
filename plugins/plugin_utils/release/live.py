"""What a verdict on the live release would be: nobody has the old one beside it by then, and nobody is moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access, facts, gathering, metrics
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import seen as seeing
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Evidence
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.limits import Limits
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.seen import Seen
from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import (
    HOLD,
    LEAST_HANGING,
    LEAST_PROBES,
    LEAST_REQUESTS,
    NO_DATA,
    PROMOTE,
    ROLLBACK,
    Verdict,
    judge,
)


def evidence(
    told: Sequence[Mapping[str, Any]], *, declared: Sequence[metrics.Metric], limits: Limits
) -> facts.Evidence:
    """Return what is known by what step V(recent) of M(ferryman.ops.release_step) has brought from each entry.

    `declared` are the application's metrics.
    """
    slot, entries = str(told[0]["slot"]), []
    for each in told:
        entries.append(Seen())
        for look in each["looks"]:
            entries[-1].take(look, new=slot, declared=declared)
    since, now = min(each["since"] for each in told), max(each["at"] for each in told)
    whole = access.merged_tally(each.tally for each in entries)
    return Evidence(
        now=now,
        since=since,
        until=now,
        share=1.0,
        minutes=gathering.minutes(whole, new=slot, since=since, now=now),
        waiting=seeing.waiting(entries, began=since, now=now, hang_s=limits.hang_s),
        signals=seeing.signals(entries, now=now, declared=declared),
        old_probes=seeing.old_probes(entries, now=now),
    )


def verdict(seen: Evidence, limits: Limits) -> Verdict:
    """Return the verdict: PROMOTE where nothing speaks against it, NO_DATA where too few came to say so."""
    found = judge(seen, limits)
    if found.word == ROLLBACK:
        return found
    stalled = _stalled(seen)
    if stalled or found.word != PROMOTE:
        return stalled or found
    came = facts.requests(each.new for each in seen.minutes)[1]
    within_s = seen.now - seen.since
    if came < LEAST_REQUESTS:
        return Verdict(NO_DATA, "few_requests", figures={"requests": came, "within_s": within_s})
    return Verdict(PROMOTE, "well", figures={"within_s": within_s})


def _stalled(seen: Evidence) -> Verdict | None:
    """Return what is to be said of a release that answers nobody: no client of the old one shows whether it would.

    Its probes do, where it is warm.
    """
    waiting = seen.waiting
    if waiting is None or waiting.answered[0] or waiting.hanging[0] < LEAST_HANGING:
        return None
    well, asked = seen.old_probes
    figures = {"hanging": waiting.hanging[0], "within_s": waiting.within_s, "old_probes": seen.old_probes}
    if asked >= LEAST_PROBES and well == asked:
        return Verdict(ROLLBACK, "stalled", figures=figures)
    return Verdict(HOLD, "stalled", ask=True, figures=figures)
