"""What a run's events amount to: a pure reading, so that a command, its JSON and its exit code never disagree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryman import paths
from ferryman.changes import Change, change_of
from ferryman.errors import DONE, NEEDS_PERSON, REFUSED, RETURNED
from ferryman.runs import Ended, Event

CODES = {
    "live": DONE,
    "unchanged": DONE,
    "done": DONE,
    "handed_over": DONE,
    "refused": REFUSED,
    "returned": RETURNED,
    "failed": RETURNED,
    "unknown": NEEDS_PERSON,
}
ANSIBLES_OWN = re.compile(r"^((Task|Action|Module) failed[:.] ?)+")  # before what really was said, if anything was
UNTRACED = "(traceback unavailable)"
TOLD = (
    "gate",
    "gate_s",
    "drained_s",
    "waited_s",
    "waited_for",
    "by_hand",
    "restore_point",
    "restore_point_sha256",
    "no_restore_point",
    "not_judged",
    "verified",
    "pruned",
    "report",
    "watched_s",
    "handed_over",
)
OF_A_STAGE = ("stage", "of", "share", "since", "until", "at", "verdict")
"""What a pipeline is told of a stage's last look; the watch is the stage after the last."""
WITH_DATABASE = ("lost", "kept", "undone", "unwell", "under_way_s")
LOST = ("left", "unknown")
WAY_BACK = ("Go back", "Stay where we were")


@dataclass
class Story:
    """What has happened so far; events are told to it one by one."""

    facts: dict[str, Any] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    """What failed first; `failures` has the first of each host."""
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    looked: bool = False
    returned: bool | None = None
    """Whether the way back was gone to its end; None where there was no need."""
    overtaken: bool = False
    answered: set[str] = field(default_factory=set)
    """The hosts that were reached; one that is lost after that may have done any part of the next task."""
    changed: bool = False
    changes: list[Change] = field(default_factory=list)
    """What each task changed on a host, or in check mode would change."""
    stages: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What was found of a release in each stage of its clients, as it was seen last."""
    touched: bool = False
    """Whether a host did a step or a part of one, the way back aside; what is refused later is no mere refusal."""

    def hear(self, event: Event) -> None:
        """Take in one event."""
        if event.kind in ("task", "begun", "skipped"):
            return
        told = dict(event.result.get("ferryman") or {})
        self._did(event, told)
        if event.kind != "ok":
            self.failures.setdefault(event.host, _failure(event))
            self.changed = self.changed or _in_part(event)
        if event.kind == "ok":
            self._ok(event, told)
        elif _is_way_back(event):
            # A way back that is refused is somebody else's now: his run owns the site, and nothing of this one serves.
            self.returned = self.overtaken = bool(told.get("refused"))
            self.facts["reason_return"] = str(event.result.get("msg", ""))
        elif not self.failure:
            self.failure = {
                **_failure(event),
                **{key: value for key, value in told.items() if value not in (None, "", [])},
            }
            self.failure["hint"] = paths.typed(str(self.failure.get("hint") or ""))

    def see(self, look: Mapping[str, Any]) -> None:
        """Take in how a release does that has a share of the clients (`canary`)."""
        if "stage" in look:
            self.stages[look["stage"]] = {key: look[key] for key in OF_A_STAGE}

    def _ok(self, event: Event, told: dict[str, Any]) -> None:
        # What the driver did alone, like the check of a role's arguments, has neither.
        self.answered |= {event.host} if "invocation" in event.result or "roles" in told else set()
        change = change_of(event)
        self.changed = self.changed or bool(change)
        self.changes += [change] if change else []
        if "stale" in event.result:
            self.looked = True
            self.stale += [reason for reason in [str(event.result["stale"])] if reason]
        if _is_way_back(event) and self.returned is None:
            self.returned = True
        if "roles" in told:
            self.hosts[event.host] = told
        if "moved" in told:  # a guard may have been faster on some host, which then has nobody to send back
            told["moved"] = bool(told["moved"] or self.facts.get("moved"))
        for key, value in told.items():
            if isinstance(value, Mapping) and isinstance(self.facts.get(key), dict):
                self.facts[key] = {**self.facts[key], **value}  # not in place: it is also what one host told
            else:
                self.facts[key] = value

    def _did(self, event: Event, told: dict[str, Any]) -> None:
        """Take in the steps that a host has done, also those of a session whose last one failed."""
        steps = told.pop("steps", None) or []
        self.steps += steps
        broke = event.kind == "failed" and told.get("step") and not told.get("refused")
        self.touched = self.touched or (bool(steps or broke) and not _is_way_back(event))


def _is_way_back(event: Event) -> bool:
    return any(way in event.task for way in WAY_BACK)


def _in_part(event: Event) -> bool:
    """Say whether a loop that failed had changed something with another of its items."""
    return any(item.get("changed") and not item.get("failed") for item in event.result.get("results") or [])


def _said(result: Mapping[str, Any]) -> Iterator[str]:
    """Return what a failed result says of its reason, the best first: an exception may have no words but its name."""
    for key in ("msg", "stderr", "module_stderr", "exception"):
        text = ANSIBLES_OWN.sub("", str(result.get(key) or "").strip())
        if text and text != UNTRACED:
            yield text.splitlines()[-1] if key == "exception" else text


def _failure(event: Event) -> dict[str, Any]:
    # A loop says only that it is over; what went wrong is said by its item.
    items = [item for item in event.result.get("results") or [] if item.get("failed")]
    result = items[0] if items else event.result
    message = next(_said(result), f"{event.title!r} failed and said nothing of the reason")
    if event.kind == "unreachable":
        message = f"{event.host} cannot be reached: {message}"
    return {"reason": message.strip(), "host": event.host, "task": event.task, "lost": event.kind == "unreachable"}


def status(story: Story, ended: Ended) -> str:
    """Return how a deploy or a rollback ended, in one word of CODES."""
    if story.facts.get("status") == "live" or story.facts.get("committed"):
        return "live"
    if ended.status == "done" and story.facts.get("handed_over"):
        return "handed_over"
    if ended.status == "done":
        return "unchanged" if story.looked and not story.stale else "done"
    if ended.status == "left" and not story.facts.get("plan"):
        return "refused"  # at most the lock was taken, which runs out by itself
    if story.returned is False or ended.status in LOST:
        return "unknown"
    # A host that was lost on the way may have done any part of its step; Ansible does not even try the way back there.
    if story.failure.get("lost") and story.facts.get("plan"):
        return "unknown"
    if story.failure.get("refused") and not story.touched:
        return "refused"
    if story.returned is None:
        return "unknown" if story.touched else "refused"
    if story.overtaken:
        return "failed"
    return "returned" if story.facts.get("moved") else "failed"


def code_of_act(story: Story, ended: Ended) -> int:
    """Return the exit code of an act that failed and has no way back: unless nothing was begun, it may be done in part.

    What a playbook refuses says so, or changes nothing before it; a host that was never reached did nothing.
    """
    lost = any(each["lost"] and host in story.answered for host, each in story.failures.items())
    began = lost or story.touched or story.changed or story.failure.get("refused") is False
    return NEEDS_PERSON if began or ended.status in LOST else REFUSED


def after_provisioning(said: dict[str, Any]) -> dict[str, Any]:
    """Return a report where the same command has just changed its hosts: a refusal is none that touched nothing."""
    return {**said, "code": RETURNED, "provisioned": True, "changed": True} if said["code"] == REFUSED else said


def report(command: str, story: Story, ended: Ended, *, environment: str, app: str) -> dict[str, Any]:
    """Return the object that `--json` prints for a deploy or a rollback."""
    word = status(story, ended)
    arbiter = next((told for told in story.hosts.values() if "arbiter" in told.get("roles", [])), {})
    plan = story.facts.get("plan") or {}
    live = arbiter.get("live") or arbiter.get("shift", {}).get("release_stable", "")
    said = {
        "command": command,
        "environment": environment,
        "app": app or arbiter.get("app", ""),
        "status": word,
        "release": plan.get("release") or live,
        "previous": plan.get("previous", ""),
        "url": arbiter.get("url", ""),
        "ca": arbiter.get("ca", ""),
        "maintenance": any(told.get("maintenance") for told in story.hosts.values()),
        # Whoever was refused has at most let go of the lock again.
        "changed": story.changed and word != "refused",
        "duration_s": round(ended.seconds, 3),
        "steps": story.steps if word != "refused" else [],
        "found": story.stale,
        "code": CODES[word],
    }
    told = {**story.failure, **story.facts}
    said.update({key: told[key] for key in TOLD if key in told})
    said.update({key: story.facts[key] for key in WITH_DATABASE if key in story.facts})
    said.update({"hotfix": True} if plan.get("hotfix") else {})
    said.update({"left_out": story.facts["left_out"]} if story.facts.get("left_out") else {})
    said.update({"point": plan["point"]} if "point" in plan else {})
    said.update({"canary": [*story.stages.values()]} if story.stages else {})
    if word == "live" and said.get("unwell"):
        said["code"] = NEEDS_PERSON
    if word == "unknown" and story.facts.get("reason_return"):
        said["reason_return"] = story.facts["reason_return"]
    if said["code"]:
        said.update({key: story.failure.get(key, "") for key in ("reason", "evidence", "hint", "host", "step")})
        said["evidence"] = said["evidence"] or []
        if ended.status == "left":
            said.update(
                reason="it was interrupted and left", guarded_s=arbiter.get("confirm_s"), lease_s=arbiter.get("lease_s")
            )
            if word == "unknown":  # a step that was on its way back told its hint before it was left
                said["hint"] = ""
        said["reason"] = said["reason"] or ended.cause
        said["several"] = len(story.hosts) > 1
        said["overtaken"] = story.overtaken
        said["serves"] = "" if word == "unknown" or story.overtaken else live
        said["run"] = arbiter.get("run", "")
    return said
