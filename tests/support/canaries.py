"""New releases among many clients, of one entry or of several: the good, six kinds of bad, and what became of them."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tests.conftest import Soak
from tests.support import histories
from tests.support.driving import Answer
from tests.support.histories import Version
from tests.support.site import Site
from tests.support.visitors import Visitors

ITSELF = ("",)
"""The entries of a site of one host."""
SETTINGS: dict[str, Any] = {
    "release_stages": [{"share": 30, "for_s": 8}, {"share": 60, "for_s": 8}],
    "release_limits": {"hang_s": 2, "warm_s": 2},
    "release_watch_s": 4,
    "release_ask_s": 20,
}
WITHIN_S = 2.0
"""From a verdict until nobody comes to the release any more; counted in full where nothing else is at work."""
FAULTS: dict[str, dict[str, Any]] = {
    "failing": {"errors": 0.5},
    "hanging": {"hangs": True},
    "crashing": {"dies": 0.3},
    "leaking": {"leaks_mb": 4},
    "failing those who are logged in": {"errors": 0.6, "logged_in": True},
    "slow": {"slow_s": 0.6},
}
Failures = list[dict[str, Any]]
"""What clients got that was no answer, as `Visitors.failures`."""


def taken_through(site: Site, version: Version, entries: Sequence[str] = ITSELF) -> tuple[Answer, Failures]:
    """Deploy a version while clients come to each entry; return what came of it, and of what they asked for."""
    with ExitStack() as there:
        crowds = [there.enter_context(Visitors(site, host=entry, seed=n)) for n, entry in enumerate(entries, start=1)]
        answer = site.deploy(site.repository.commit(version))
        time.sleep(1)
    return answer, [failure for crowd in crowds for failure in crowd.failures]


def verdicts(site: Site, release: str) -> list[dict[str, Any]]:
    """Return the verdicts that the ledger has of a release and that ended its stages."""
    lines = [line for line in site.ledger() if line.get("release") == release]
    return [each for line in lines for each in ended(line.get("verdicts", []))]


def ended(verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those that ended a stage; on a busy machine one may be held up for a moment."""
    return [each for each in verdicts if each["verdict"] in ("promote", "rollback")]


def went_back(
    site: Site, answer: Answer, failures: Failures, before: str, entries: Sequence[str] = ITSELF
) -> dict[str, Any]:
    """See that a release went back by a verdict, and that nobody came to it afterwards at any entry; return that
    verdict, with how many seconds later the last entry had gone back."""
    assert (answer.code, answer.said["status"]) == (2, "returned"), str(answer)
    assert site.served() == before
    verdict = verdicts(site, answer.said["release"])[-1]
    assert verdict["verdict"] == "rollback"
    assert verdict["rule"] == "health" or verdict["sentence"] in answer.text, f"not {verdict['sentence']!r}: {answer}"
    drawn = max(drawn_back(site, entry) for entry in entries)
    late = [each for each in failures if each["at"] > drawn]
    assert not late, late
    return {**verdict, "back_s": drawn - verdict["at"]}


def drawn_back(site: Site, entry: str) -> float:
    """Return when an entry had given the last release's clients back, in seconds since 1970."""
    lines = map(json.loads, site.ssh(f"cat {site.journal_path}", host=entry).splitlines())
    return float([line["detail"]["at_s"] for line in lines if line["step"] == "draw_back"][-1])


def count(site: Site, soak: Soak, entries: Sequence[str] = ITSELF) -> dict[str, Any]:
    """Take releases of all kinds through, so many of each as a soak counts; return its figures."""
    chance, times = soak.random(), soak.times(sample=1, full=20)
    kinds = chance.sample(sorted(FAULTS), soak.times(sample=1, full=len(FAULTS)))
    found: dict[str, list[str]] = {}
    back_s: list[float] = []
    with site.settings(release_stages=[{"share": 30, "for_s": 130}]):
        for number, kind in soak.turns([(number, kind) for number in range(times) for kind in kinds]):
            before = site.served()
            answer, failures = taken_through(site, histories.shop(f"{kind} {number}", **FAULTS[kind]), entries)
            verdict = went_back(site, answer, failures, before, entries)
            found.setdefault(kind, []).append(verdict["rule"])
            back_s.append(verdict["back_s"])
    for number in soak.turns(range(times)):
        answer, failures = taken_through(site, histories.good(f"well {number}"), entries)
        assert answer.code == 0, str(answer)
        assert not failures
        found.setdefault("well", []).append("promoted")
    assert not soak.full or max(back_s) <= WITHIN_S, back_s
    return {
        "back_max_s": round(max(back_s), 2),
        "runs": {kind: len(rules) for kind, rules in found.items()},
        "rules": {kind: {rule: rules.count(rule) for rule in sorted(set(rules))} for kind, rules in found.items()},
    }
