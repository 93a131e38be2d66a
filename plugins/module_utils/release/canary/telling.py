"""A verdict in one sentence for somebody who is tired, and as the ledger keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import facts
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Evidence, Pair

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import Verdict

FORMAT = 1
Figures = Mapping[str, Any]


def sentence(verdict: Verdict, evidence: Evidence) -> str:
    """Return why, with the figures of both releases."""
    told = SENTENCES.get(f"{verdict.word} {verdict.rule}") or SENTENCES[verdict.rule]
    return told(verdict.figures, evidence)


def record(verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
    """Return the line of a ledger: what was decided, by which rule, upon which counts (docs/decisions/0021-verdict.md).

    Numbers that are infinite are null, since JSON has none.
    """
    figures = {
        key: None if isinstance(value, float) and math.isinf(value) else value for key, value in verdict.figures.items()
    }
    served = evidence.of_stage
    arms = {"new": [each.new for each in served], "old": [each.old for each in served]}
    if evidence.baseline:
        arms["rest"] = [each.rest for each in served]
    return {
        "format": FORMAT,
        "verdict": verdict.word,
        "rule": verdict.rule,
        "ask": verdict.ask,
        "sentence": sentence(verdict, evidence),
        **({"who": evidence.who} if verdict.rule == "operator" and evidence.who else {}),
        "figures": figures,
        "share": evidence.share,
        **({"baseline": True} if evidence.baseline else {}),
        "stage_s": round(evidence.now - evidence.since, 1),
        "arms": {
            name: {
                "requests": facts.requests(arm)[1],
                "failed": facts.requests(arm)[0],
                "p95_s": round(facts.p95(arm), 4),
            }
            for name, arm in arms.items()
        },
        "draws": [
            {
                "share": round(draw.share, 6),
                "failing": list(draw.failing),
                "slow": [list(pair) for pair in draw.slow],
                "seen": list(draw.seen),
            }
            for draw in evidence.draws
        ],
    }


def _old(evidence: Evidence) -> str:
    return "its baseline" if evidence.baseline else "the old one"


def _many_of(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _percent(pair: Pair) -> str:
    failed, total = pair
    if not total:
        return "no requests"
    share = 100 * failed / total
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %"


def _of_clients(evidence: Evidence) -> str:
    return f"{evidence.share * 100:.0f} %"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _minutes(seconds: float) -> str:
    if seconds >= 90:
        return f"{seconds / 60:.0f} min"
    return f"{max(seconds, 0):.0f} s"


def _failing(evidence: Evidence) -> str:
    (new, old), (of_new, of_old) = evidence.in_all.failing, evidence.in_all.came
    return f"{_many_of(new, 'client')} of {of_new} saw the new release fail, {old} of {of_old} {_old(evidence)}"


def _chance(log_e: float) -> str:
    """Return how rarely a release that is as good as the old one looks so bad: at most one in e, by Ville."""
    return (
        f"of releases that are as good as the old one, fewer than one in {_round(math.exp(min(log_e, 20.7)))} looks so"
    )


def _round(number: float) -> str:
    digits = 10 ** max(len(str(int(number))) - 2, 0)
    return f"{int(number) // digits * digits:,}"


def _errors(figures: Figures, evidence: Evidence) -> str:
    odds = figures["odds"]
    often = (
        "" if math.isinf(odds) else f" ({odds:.0f} times as often)" if odds >= 10 else f" ({odds:.1f} times as often)"
    )
    return f"The new release fails more: {_failing(evidence)}{often}; {_chance(figures['log_e'])}."


def _slower(figures: Figures, evidence: Evidence) -> str:
    new, old = figures["p95_s"]
    return (
        f"The new release is slower: of 20 requests the slowest takes {_seconds(new)}, with {_old(evidence)} "
        f"{_seconds(old)}; {_chance(figures['log_e'])}."
    )


def _hanging(figures: Figures, evidence: Evidence) -> str:
    return (
        f"The new release hangs: {figures['hanging'][0]} requests wait, and it answered none in the last "
        f"{_minutes(figures['within_s'])}; {_old(evidence)} answered {figures['answered'][1]}."
    )


def _stalled(figures: Figures, evidence: Evidence) -> str:
    del evidence
    good, total = figures["old_probes"]
    beside = f"the old one answered {good} of {total} probes well" if total else "nobody has the old one to compare"
    waits = f"{figures['hanging']} requests wait, and it answered none in the last {_minutes(figures['within_s'])}"
    return f"It hangs: {waits}; {beside}."


def _signal(figures: Figures, evidence: Evidence) -> str:
    (good, total), old, last = figures["new"], figures["old"], figures.get("said", ("", ""))
    beside = f"with {_old(evidence)} {old[0]} of {old[1]}" if old[1] else f"nothing is known of {_old(evidence)}"
    counts = f"{good} of {total} were good{_last(last[0])}; {beside}{_last(last[1])}"
    return f"{figures['signal']} is bad with the new release: {counts}."


def _last(said: str) -> str:
    return f" (last: {said})" if said else ""


def _many(figures: Figures, evidence: Evidence) -> str:
    return f"{_lately(figures, evidence)}."


def _unsure(figures: Figures, evidence: Evidence) -> str:
    return f"{_lately(figures, evidence)}: too few to say whether something that both need is ill."


def _lately(figures: Figures, evidence: Evidence) -> str:
    return (
        f"In the last {_minutes(figures['within_s'])} {_percent(figures['new'])} of the new release's requests failed, "
        f"{_beside(figures, evidence)}"
    )


def _beside(figures: Figures, evidence: Evidence) -> str:
    if evidence.baseline and evidence.share < 1:
        return f"{_percent(figures['old'])} of its baseline's, and {_percent(figures['rest'])} of all others'"
    if evidence.share < 1:
        return f"and {_percent(figures['old'])} of the old one's"
    good, total = figures["old_probes"]
    told = f"and {total - good} of {total} probes of the old one" if total else "and nobody has the old one to compare"
    looked_at, with_both = figures["replayed"]
    return f"{told}; of {looked_at} of them that were asked once more {with_both} fail with both" if looked_at else told


def _shared(figures: Figures, evidence: Evidence) -> str:
    if "signal" in figures:
        (good, of), (old, old_of), last = figures["new"], figures["old"], figures.get("said", ("", ""))
        told = f"{figures['signal']}: {good} of {of} are good with the new one{_last(last[0])}, "
        told += f"{old} of {old_of} with {_old(evidence)}{_last(last[1])}"
    elif "hanging" in figures:
        told = "neither answers"
    else:
        told = f"{_percent(figures['new'])} of the new one's requests failed, {_beside(figures, evidence)}"
    return f"Old is as bad as new ({told}): something that both need is ill, and to go back would not help."


def _share(figures: Figures, evidence: Evidence) -> str:
    del figures
    new, old = (sum(draw.seen[arm] for draw in evidence.draws) for arm in (0, 1))
    return (
        f"The shares are not what was set: {new} clients came to the new release and {old} to {_old(evidence)}, at "
        f"{_of_clients(evidence)}; so nothing can be compared."
    )


def _p95(figures: Figures, evidence: Evidence) -> str:
    new, old = figures["p95_s"]
    whose = "its baseline's" if evidence.baseline else "the old one's"
    return (
        f"For {_minutes(figures['within_s'])} more than one request in 20 has been too slow: the new release's p95 is "
        f"{_seconds(new)}, {whose} {_seconds(old) if old else 'unknown'}."
    )


def _unanswered(figures: Figures, evidence: Evidence) -> str:
    asked = SENTENCES[str(figures["asked"])](figures, evidence)
    return f"Nobody said for {_minutes(figures['waited_s'])} whether it goes on. {asked}"


def _few(figures: Figures, evidence: Evidence) -> str:
    return (
        f"Too few to judge: {_many_of(figures['clients'], 'client')} and {_many_of(figures['requests'], 'request')} "
        f"came to the new release in "
        f"{_minutes(evidence.now - evidence.since)}."
    )


def _most_fail(figures: Figures, evidence: Evidence) -> str:
    failing, came = evidence.in_stage.failing[0], evidence.in_stage.came[0]
    return (
        f"Most clients of the new release see it fail, too few to send it back: {failing} of {came}, and "
        f"{_percent(figures['new'])} of their requests; with {_old(evidence)} {_percent(figures['old'])}."
    )


def _waits(figures: Figures, evidence: Evidence) -> str:
    return (
        f"Not surely worse so far: {_failing(evidence)}; {_minutes(figures['left_s'])} left at {_of_clients(evidence)}."
    )


def _passed(figures: Figures, evidence: Evidence) -> str:
    del figures
    lasted = _minutes(evidence.now - evidence.since)
    return f"No worse than {_old(evidence)} for {lasted} at {_of_clients(evidence)}: {_failing(evidence)}."


SENTENCES: Mapping[str, Callable[[Figures, Evidence], str]] = {
    "rollback operator": lambda _, evidence: f"{evidence.who or 'Somebody'} said to go back.",
    "promote operator": lambda _, evidence: f"{evidence.who or 'Somebody'} said to go on.",
    "well": lambda figures, _: f"Nothing speaks against it in the last {_minutes(figures['within_s'])}.",
    "few_requests": lambda figures, _: (
        f"Too few to judge: {_many_of(figures['requests'], 'request')} in the last {_minutes(figures['within_s'])}."
    ),
    "health": lambda figures, _: f"The new release is not well: {figures['said']}.",
    "errors": _errors,
    "slower": _slower,
    "hanging": _hanging,
    "stalled": _stalled,
    "signal": _signal,
    "many_errors": _many,
    "some_errors": _many,
    "shared": _shared,
    "unsure": _unsure,
    "share": _share,
    "p95": _p95,
    "few": _few,
    "most_fail": _most_fail,
    "unanswered": _unanswered,
    "hold time": _waits,
    "promote time": _passed,
}
