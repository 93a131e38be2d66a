"""What is seen of a release's stages while they go on: a line a look, for who looks on and for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.gathering import old_arm
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import merged
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Evidence
    from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

FORMAT, NAME = 1, "canary.jsonl"
KEPT = 100
"""So many of the last looks another entry keeps: the one that tells may not come to them any more."""


class Looks:
    """Writes `canary.jsonl` into the run's directory, and into the file `release_progress_file` where one is named.

    {"format": 1, "at": 1764190020.1, "stage": 0, "of": 3, "share": 0.1, "since": ..., "until": ...,
    "entries": ["web1"], "looks": {"web1": 4}, "verdict": {...}, "lately": {"seconds": 2.0, "old": {...},
    "new": {"requests": 9, "failed": 0, "p95_s": 0.2}}}
    Where there is a baseline, `old` is that, and `rest` what all others got. `verdict` is as the ledger has it; of one
    that asks, `answer_by` says until when somebody may answer. `looks` says how many of each entry have been told of
    by then; the watch is the stage after the last. The last line of a run has `end`, live or returned. Times are
    seconds since 1970.
    """

    def __init__(self, action: ReleaseAction, *, of: int, new: str, baseline: bool = False) -> None:
        self.action, self.of = action, of
        self.arms = {"new": new, "old": old_arm(new, baseline=baseline), **({"rest": other(new)} if baseline else {})}
        self.lately: list[tuple[str, int, access.Tally]] = []
        self.counted: dict[str, int] = {}

    @property
    def leads(self) -> bool:
        """Whether this host's task tells, for all entries."""
        return self.action.host == self.action.groups["entry"][0]

    def came(self, host: str, tally: access.Tally) -> None:
        """Take in what an entry has counted in its next look."""
        self.counted[host] = self.counted.get(host, 0) + 1
        self.lately.append((host, self.counted[host], tally))

    def tell(
        self, evidence: Evidence, record: Mapping[str, Any], *, stage: int, answer_by: float | None = None
    ) -> None:
        """Write a line about what came since the one before; another entry tells only that it goes back.

        That is the last line, and the ledger's last verdict: who comes a moment later does not unsay it.
        """
        if not (self.leads or record["verdict"] == "rollback"):
            self.lately = self.lately[-KEPT:]
            return
        last = self._last()
        if last.get("verdict", {}).get("verdict") == "rollback":
            return
        fresh = [tally for host, number, tally in self.lately if number > last.get("looks", {}).get(host, 0)]
        lately = {"seconds": round(evidence.now - last.get("at", evidence.since), 3)}
        write(
            self.action,
            {
                "at": round(evidence.now, 3),
                "stage": stage,
                "of": self.of,
                "share": evidence.share,
                "since": round(evidence.since, 3),
                "until": round(evidence.until, 3),
                "entries": list(self.action.groups["entry"]),
                "looks": self.counted,
                "verdict": record,
                **({} if answer_by is None else {"answer_by": round(answer_by, 3)}),
                "lately": {**lately, **{name: _arm(fresh, slot) for name, slot in self.arms.items()}},
            },
        )
        self.lately = []

    def _last(self) -> dict[str, Any]:
        """Return the whole line that was told last, by whichever entry's task."""
        try:
            whole, _, _ = (self.action.memory / NAME).read_bytes().rpartition(b"\n")
        except FileNotFoundError:
            return {}
        return dict(json.loads(whole.splitlines()[-1])) if whole else {}


def _arm(tallies: Sequence[access.Tally], slot: str) -> dict[str, Any]:
    there = [each for tally in tallies for (_, arm), each in tally.minutes.items() if arm == slot]
    p95 = merged(each.seconds for each in there).quantile(0.95)
    return {
        "requests": sum(each.requests for each in there),
        "failed": sum(each.failed for each in there),
        "p95_s": None if p95 is None else round(p95, 4),
    }


def write(action: ReleaseAction, look: Mapping[str, Any]) -> None:
    """Append a line for who looks on."""
    line = json.dumps({"format": FORMAT, **look}, sort_keys=True) + "\n"
    for path in _places(action):
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line)


def _places(action: ReleaseAction) -> Iterable[Path]:
    yield action.memory / NAME
    told = str(action.value("progress_file", "") or "")
    if told:
        yield Path(told)


def ended(action: ReleaseAction, end: str, at: float) -> None:
    """Write how a run ended that had stages; of one that had none nothing is written."""
    if (action.memory / NAME).exists():
        write(action, {"end": end, "at": round(at, 3)})
