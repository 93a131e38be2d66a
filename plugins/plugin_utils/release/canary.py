"""One entry's way through the stages of a release, as its driver goes it: give a share, look, judge, go on or back.

Each entry's task is a process of its own; what its looks brought it writes into the run's directory, where the others
read it, so that every one judges by what clients of all entries got (docs/decisions/0021-verdict.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import stages
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import (
    access,
    gathering,
    limits,
    telling,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import seen as seeing
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.facts import Evidence
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary.seen import Seen
from ansible_collections.ferryman.ops.plugins.module_utils.release.verdict import PROMOTE, ROLLBACK, Verdict, judge
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import canary_kept
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import Stopped
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.canary_looks import Looks

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

LOOK_S = (0.5, 10.0)
LOOKS = 10  # in a stage, at least
OVERDUE_S = 30.0
KEPT = ("at", "tally", "waiting", "old_probe", "replayed", "probes", "probed", "metrics", "word")
"""What a look's answer says that all entries judge by."""
SENT = ("settings", "lease_s", "release", "slot", "asks", "seal", "patience_s", "members", "takes_part")
"""What of the step's request a share and a look need, too."""
PROBING = ("description", "verify")
"""What a look needs beside, where the application has steps of its own, with their secrets, or metrics."""


def unanswered(verdict: Verdict, *, waited_s: float, ask_s: float) -> Verdict:
    """Return the verdict once nobody has said for `ask_s` seconds whether it goes on: then it goes back."""
    if not verdict.ask or waited_s < ask_s:
        return verdict
    return Verdict(ROLLBACK, "unanswered", figures={"waited_s": waited_s, "asked": verdict.rule, **verdict.figures})


class Canary:
    """The stages of one release on one entry."""

    def __init__(self, action: ReleaseAction, request: Mapping[str, Any]) -> None:
        self.action, self.slot = action, str(request["slot"])
        self.sent = {key: request[key] for key in SENT if key in request}
        self.declared = (request.get("description") or {}).get("metrics") or []
        self.probing = {
            key: request[key] for key in PROBING if key in request and ("verify" in request or self.declared)
        }
        self.log, self.baseline = str(request["stages"]["log"]), bool(request["stages"].get("baseline"))
        self.stages: list[Mapping[str, Any]] = [*request["stages"]["stages"]]
        self.limits = limits.read(action.value("limits", {}) or {})
        self.ask_s = float(action.value("ask_s", 900))
        self.began: list[float] = []
        self.place: Any = None
        self.asked_at = 0.0
        self.ends: dict[str, Any] = {}
        self.verdicts: list[Mapping[str, Any]] = []
        self.last: Mapping[str, Any] | None = None
        self.seen: dict[str, Seen] = {host: Seen() for host in action.groups["entry"]}
        self.read: dict[str, int] = dict.fromkeys(self.seen, 0)
        self.looks = Looks(action, of=len(self.stages), new=self.slot, baseline=self.baseline)

    def through(self) -> dict[str, Any]:
        """Go through all stages; return what the switch of everyone is told. Stopped where the release goes back."""
        for stage in self.stages:
            self._share(int(stage["share"]), float(stage["for_s"]))
            self._stay(int(stage["share"]) / 100, float(stage["for_s"]))
        return {"ends": self.ends}

    def watch(self, for_s: float) -> None:
        """Stay while everyone has the new release, before it is final; the old one is warm and asked how it is."""
        self.stages.append({"share": 100, "for_s": for_s})
        self.began.append(self.seen[self.action.host].now)
        self.ends = {}
        self._stay(1.0, for_s)

    # On the entry

    def _ask(self, step: str, **told: Any) -> dict[str, Any]:
        return self.action.ask("steps", steps=[step], **self.sent, **told)

    def _share(self, percent: int, for_s: float) -> None:
        told: dict[str, Any] = {"percent": percent, "for_s": for_s, "log": self.log, "salt": self.action.salt}
        told.update(hang_s=self.limits.hang_s, baseline=self.baseline)
        if self.ends:
            told.update(place=self.place, ends=self.ends)
        answer = self._ask("share", share=told)
        self.began.append(float(answer["began"]))
        self.place = answer["place"]
        if "before" in answer:
            empty = {"at": answer["began"], "tally": answer["before"], "waiting": [0, 0]}
            self._pass_on(empty)

    def _look(self, share: float, wait_s: float) -> None:
        mine = self.seen[self.action.host]
        told = {"salt": self.action.salt, "stages": self.began, "hang_s": self.limits.hang_s, "log": self.log}
        told.update(place=self.place, wait_s=wait_s, share=share, overdue=self._overdue)
        told.update(warm_until=self.began[0] + self.limits.warm_s, turn=mine.turns)
        told.update(baseline=self.baseline and share < 1, replay=share >= 1 and mine.replays(mine.now))
        answer = self._ask("look", look=told, **self.probing)
        self.place = answer["place"]
        self._pass_on({key: answer.get(key) for key in KEPT})

    @property
    def _overdue(self) -> bool:
        """Whether the application was asked nothing for long: among many clients some always see a failure."""
        mine = self.seen[self.action.host]
        return mine.now - max(mine.asked_at, self.began[0]) > OVERDUE_S

    def _pass_on(self, look: Mapping[str, Any]) -> None:
        with self._looks_of(self.action.host).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(look) + "\n")
        for host in self.seen:
            for each in self._unread(host):
                came = self.seen[host].take(each, new=self.slot, declared=self.declared, baseline=self.baseline)
                self.looks.came(host, came)

    def _looks_of(self, host: str) -> Path:
        return self.action.memory / f"canary-{host}.jsonl"

    def _unread(self, host: str) -> list[dict[str, Any]]:
        """Return what an entry's task wrote since; a line that is only half there comes the next time."""
        try:
            with self._looks_of(host).open("rb") as stream:
                stream.seek(self.read[host])
                whole, cut, _ = stream.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self.read[host] += len(whole + cut)
        return [json.loads(line) for line in whole.splitlines()]

    # What is decided by

    def _stay(self, share: float, for_s: float) -> None:
        self.asked_at, self.last = 0.0, None
        least, most = LOOK_S
        while True:
            left = self.began[-1] + for_s - self.seen[self.action.host].now
            regular = min(max(for_s / LOOKS, least), most)
            if self.action.is_over:  # who is told so over a second session may not have been reached
                with suppress(Stopped):  # the look will say what is wrong
                    self._ask("interrupt")
            try:
                self._look(share, min(regular, left) if left > 0 else regular)
            except Stopped as stopped:
                self.went_back(stopped.told)
                raise
            evidence = self._evidence(share, for_s)
            verdict = self._judged(evidence)
            record = self._record(verdict, evidence)
            if verdict.word == ROLLBACK:
                self._ask("draw_back", verdict=record, **self.probing)  # with the secrets that its log may show
            if verdict.word == PROMOTE and not self.action.is_over:
                self.ends = {"percent": round(share * 100), "verdict": record}
                return

    def went_back(self, told: Mapping[str, Any]) -> None:
        """Record that processes are not well, as this host has found or, where it was told to stop, another one has."""
        unwell = str(told["reason"] if told.get("judged") else self.action.recall("judged").get("said", ""))
        if not (unwell and self.began):
            return
        stage = self.stages[len(self.began) - 1]
        mine = self.seen[self.action.host]
        mine.now = max(mine.now, float(told.get("drawn_back_at") or 0))
        evidence = self._evidence(int(stage["share"]) / 100, float(stage["for_s"]))
        self._record(Verdict(ROLLBACK, "health", figures={"said": unwell}), evidence)

    def _judged(self, evidence: Evidence) -> Verdict:
        verdict = judge(evidence, self.limits)
        if not verdict.ask:
            self.asked_at = 0.0
            return verdict
        self.asked_at = self.asked_at or evidence.now
        return unanswered(verdict, waited_s=evidence.now - self.asked_at, ask_s=self.ask_s)

    def _record(self, verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
        """Tell a verdict, and keep for the ledger what is of use there; return it, or what sends it back already."""
        record = self._kept({**telling.record(verdict, evidence), "at": round(evidence.now, 3)})
        self.last = record
        answer_by = self.asked_at + self.ask_s if verdict.ask else None
        with self.action.alone():  # two that go back at one moment tell one end
            self.looks.tell(evidence, record, stage=len(self.began) - 1, answer_by=answer_by)
        return record

    def _kept(self, record: dict[str, Any]) -> dict[str, Any]:
        """Keep what ends a stage, or holds it up; return it, or of several entries' words to go back the first."""
        kept = canary_kept.kept(self.verdicts, record, last=self.last)
        if kept == self.verdicts:
            return record
        with self.action.alone():
            told = self.action.recall("verdicts").get("verdicts") or [{}]
            is_decided = told[-1].get("verdict") == ROLLBACK  # nothing is written after that one
            if is_decided and record["verdict"] == ROLLBACK:
                return dict(told[-1])
            self.verdicts = kept
            if (self.looks.leads or record["verdict"] == ROLLBACK) and not is_decided:
                self.action.remember("verdicts", {"verdicts": self.verdicts})
        return record

    def _evidence(self, share: float, for_s: float) -> Evidence:
        now, since = max(each.now for each in self.seen.values()), self.began[-1]
        whole, word = self._whole(), self._word(since, round(share * 100))
        shares = [int(stage["share"]) / 100 for stage in self.stages[: len(self.began)]]
        stage = len(self.began) - 1
        in_stage, in_all = gathering.clients(whole, new=self.slot, stage=stage, baseline=self.baseline)
        return Evidence(
            now=now,
            since=since,
            until=since + for_s,
            share=share,
            draws=gathering.draws(whole, new=self.slot, shares=shares, began=self.began, baseline=self.baseline),
            minutes=gathering.minutes(whole, new=self.slot, since=self.began[0], now=now, baseline=self.baseline),
            waiting=seeing.waiting(self.seen.values(), began=self.began[0], now=now, hang_s=self.limits.hang_s),
            in_stage=in_stage,
            in_all=in_all,
            signals=seeing.signals(self.seen.values(), now=now, declared=self.declared),
            old_probes=seeing.old_probes(self.seen.values(), now=now),
            replayed=seeing.replayed(self.seen.values(), now=now),
            baseline=self.baseline,
            operator=str(word.get("word", "")),
            who=str(word.get("who", "")),
        )

    def _whole(self) -> access.Tally:
        if len(self.seen) == 1:
            return self.seen[self.action.host].tally
        return access.merged_tally(each.tally for each in self.seen.values())

    def _word(self, since: float, percent: int) -> Mapping[str, Any]:
        """Return a person's word for the stage of `percent` that began at `since`; of several one to go back."""
        words = [each.word for each in self.seen.values() if each.word]
        heard = [word for word in words if stages.is_for(word, began=since, percent=percent)]
        return min(heard, key=lambda word: word["word"] != "abort", default={})
