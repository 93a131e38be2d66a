"""What is seen of a release's stages while they go on: a line a look, for who looks on and for the report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import access
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.sketch import merged
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import other

if TYPE_CHECKING:
    from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Evidence
    from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

FORMAT = 1


class Looks:
    """Writes `canary.jsonl` into the run's directory, and into the file `release_progress_file` where one is named.

    {"format": 1, "at": 1764190020.1, "stage": 0, "of": 3, "share": 0.1, "since": ..., "until": ...,
    "entries": ["web1"], "verdict": {...}, "lately": {"seconds": 2.0, "old": {...},
    "new": {"requests": 9, "failed": 0, "p95_s": 0.2}}}
    `verdict` is as the ledger has it; the watch is the stage after the last. The last line of a run has `end`, live or
    returned. Times are seconds since 1970.
    """

    def __init__(self, action: ReleaseAction, *, of: int, new: str) -> None:
        self.action, self.of, self.new = action, of, new
        self.lately: list[access.Tally] = []
        self.before = 0.0

    @property
    def leads(self) -> bool:
        """Whether this host's task tells, for all entries."""
        return self.action.host == self.action.groups["entry"][0]

    def came(self, tally: access.Tally) -> None:
        """Take in what some entry has counted since."""
        self.lately.append(tally)

    def tell(self, evidence: Evidence, record: Mapping[str, Any], *, stage: int) -> None:
        """Write a line about what came since the one before; another entry tells only that it goes back."""
        if self.leads or record["verdict"] == "rollback":
            lately = {"seconds": round(evidence.now - (self.before or evidence.since), 3)}
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
                    "verdict": record,
                    "lately": {**lately, "new": self._arm(self.new), "old": self._arm(other(self.new))},
                },
            )
        self.lately, self.before = [], evidence.now

    def _arm(self, slot: str) -> dict[str, Any]:
        there = [each for tally in self.lately for (_, arm), each in tally.minutes.items() if arm == slot]
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
    yield action.memory / "canary.jsonl"
    told = str(action.value("progress_file", "") or "")
    if told:
        yield Path(told)


def ended(action: ReleaseAction, end: str, at: float) -> None:
    """Write how a run ended that had stages; of one that had none nothing is written."""
    if (action.memory / "canary.jsonl").exists():
        write(action, {"end": end, "at": round(at, 3)})
