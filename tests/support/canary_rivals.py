"""What others decide by, as models: Flagger's loop, and the plain rule that many write into their monitoring.

Flagger (fluxcd/flagger): the example of its documentation (docs/gitbook/usage/how-it-works.md) has an interval of one
minute, a threshold of 10 failed checks, steps of 5 % up to 50 %, and a success rate of at least 99 % within a minute;
in pkg/apis/flagger/v1beta1/canary.go the threshold is 1 where none is given. A minute without a request is a failed
check. Its requests are drawn one by one, which is kinder to it than clients that stay.
"""

from __future__ import annotations

from tests.support.canary_world import BASE_ERRORS, STAGES, World, exceeds, poisson

MINUTE_S = 60.0
STEP, MOST = 0.05, 0.50
SLOW_S = 0.5


def flagger(world: World, threshold: int, *, duration: bool = False) -> tuple[str, float]:
    """Return how a release ends under Flagger's loop and when: `rollback`, or `promote` at the end of its steps."""
    chance, failed, weight, at = world.chance, 0, STEP, 0.0
    while True:
        load = sum(world.load(at + second) for second in (5, 25, 45)) / 3 * MINUTE_S
        shared, new = world.failing(at, at + MINUTE_S)
        at += MINUTE_S
        came = poisson(chance, load * weight)
        rate = min(BASE_ERRORS + shared + new * world.bad.only, 1.0)
        bad = not came or poisson(chance, came * rate) > came * 0.01
        if duration and came and poisson(chance, came * exceeds(SLOW_S, world.bad.slower)) > came * 0.01:
            bad = True
        if bad:
            failed += 1
            if failed >= threshold:
                return "rollback", at
            continue
        if weight >= MOST - 1e-9:
            return "promote", at
        weight += STEP


def plain(world: World) -> tuple[str, float]:
    """Return how a release ends by the rule "over 10 % of its requests failed, in each of five minutes"."""
    chance, at, over = world.chance, 0.0, 0
    for share, seconds in STAGES:
        split, end = world.arms[share], at + seconds
        while at < end:
            load = sum(world.load(at + second) for second in (5, 25, 45)) / 3 * MINUTE_S
            shared, new = world.failing(at, at + MINUTE_S)
            at += MINUTE_S
            came = poisson(chance, load * split.activity(0))
            rate = min(BASE_ERRORS + shared + new * world.bad.only, 1.0)
            over = over + 1 if came and poisson(chance, came * rate) > came * 0.1 else 0
            if over == 5:
                return "rollback", at
    return "promote", at
