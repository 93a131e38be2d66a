"""Look at a host: what it serves, whether it is as it should be, and, on request, take the lock.

Changes nothing that serves.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.ferryman.ops.plugins.module_utils.release import fencing, ledger, points, sizes, succession
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import going_back, leaving, remembered, source, sql
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction, Stopped

TOLD = (
    "left_out",
    "at",
    "who",
    "commit",
    "ref",
    "subject",
    "reason",
    "schema_before",
    "schema_after",
    "restore_point",
    "with_database",
)
"""What people and pipelines are told of a release's line in the ledger."""
HEAD = re.compile(r"[0-9a-f]{64}")


def head_in(place: Path) -> str:
    """Return the head of a ledger that a file keeps; empty where it keeps none, or what can be no head."""
    try:
        text = place.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if HEAD.fullmatch(text) else ""


def _way_back(lines: list[dict[str, Any]], release: ledger.Release) -> str:
    """Return the dump that leads back to a release's database; empty where there is none."""
    if not release.good:
        return ""
    try:
        return points.point(lines, release, database=release.id, there=True).path
    except ledger.Refused:
        return ""


class ActionModule(ReleaseAction):
    """ferryman.ops.release_look"""

    ARGUMENTS: ClassVar = {
        "purpose": {"type": "str", "default": ""},
        "source": {"type": "bool", "default": False},
        "plan": {"type": "bool", "default": False},
        "whole": {"type": "bool", "default": False},
        "tale": {"type": "bool", "default": False},
        "away": {"type": "bool", "default": False},
        "lease_s": {"type": "float", "default": LEASE_S},
        "room": {"type": "dict", "default": {}},
        "copies": {"type": "bool", "default": False},
    }

    def work(self) -> dict[str, Any]:
        """Look; of a host that may be away only say that it is."""
        try:
            return self._looked()
        except AnsibleConnectionFailure as error:
            may_be = self.args["away"] and leaving.may_be_away(self.host, self.every)
            if not may_be and (not self.args["copies"] or self.host == self.arbiter):
                raise
            why = f"{self.host} cannot be reached: {str(error).strip().partition(chr(10))[0]}"
            self.remember(f"look-{self.host}", {"roles": self.roles, "away": why})
            return {"stale": "", "away": why}

    def _looked(self) -> dict[str, Any]:
        """Ask the host, keep its answer for the tasks that follow, and return the short of it."""
        if self.args["purpose"]:
            self.refuse_unfit(self.args["purpose"])
        wanted = source.read_once(self) if self.args["source"] else {}
        more: dict[str, Any] = {
            "bare": self.args["plan"],  # what a plan is made of may have to be provisioned first
            "plan": self.args["plan"],
            "have": remembered.digests(self.work_dir),
            "head": self._known_head(),
            "whole": bool(self.args["whole"]),
            "copies": bool(self.args["copies"]),
            "room": {name: int(count) for name, count in self.args["room"].items() if str(count).isdecimal()},
        }
        if wanted:
            more["wanted"] = {key: wanted[key] for key in ("commit", "configuration", "dirty")}
            more["secrets"] = self.secrets
            more["drain_s"] = self.settings["drain_s"]
            more["runtime"] = wanted["description"]["runtime"]["kind"]
        if self.args["purpose"] and self.several:
            more["keeper"] = self.addresses.get(self.arbiter, "")
        if self.args["purpose"]:
            # Of several hosts another one may find a reason for a change.
            lock = self.lock(self.args["purpose"], wanted)
            more["lock"] = {**lock, "lease_s": self.args["lease_s"], "always": self.several}
        answer = self.ask("look", **more)
        seen = answer["seen"]
        self._keep(seen.get("base", {}))
        kept = {"token": answer["token"] or seen["token"], "stale": answer.get("stale", "")}
        self.remember(f"look-{self.host}", {**seen, **kept})
        if "ledger" in seen:
            self._keep_head(seen["ledger"])
        short = self._short(seen)
        if self.args["purpose"]:
            short.update(confirm_s=self.settings["confirm_s"], lease_s=LEASE_S)
        if self.detached(self.args["purpose"]):
            self.remember(f"told-{self.host}", {"stale": kept["stale"], "ferryman": short})
        if self.args["purpose"] and self.several and self.host == self.arbiter:
            stale = self._let_go_unless_needed(answer.get("stale", "asked for"))
            answer.update({"stale": stale} if wanted else {})
        return {"stale": answer.get("stale", ""), "seen": short, "ferryman": short}

    def _let_go_unless_needed(self, stale: str) -> str:
        """Let go of the lock again where no host has a reason for a change, or one cannot be looked at.

        Return the reason that the arbiter has. One that is away may take longer to be found so than a lease lasts.
        """
        ends = self.vigil(self._keep_lock, every_s=LEASE_S / 3)
        self._require_every_line()
        stale = stale or self._mends()
        if "failed" in ends or not any([stale, *ends]):
            self.ask("steps", steps=["free"], lease_s=LEASE_S)
        return stale

    def _require_every_line(self) -> None:
        """Refuse to go on with a ledger that lacks what another host has a copy of; the lock is let go of."""
        copies = {host: self.look_of(host).get("copy", {}) for host in {*self.every["app"], *self.every["entry"]}}
        lacks = succession.lacks(self.look_of(self.host)["ledger"]["lines"], copies)
        if lacks:
            self.ask("steps", steps=["free"], lease_s=LEASE_S)
            self.refuse(f"the ledger cannot be relied on: {lacks}", succession.WAY_OUT)

    def _keep_lock(self) -> None:
        self.ask("steps", steps=["keep"], lease_s=self.args["lease_s"])

    def _mends(self) -> str:
        """Say who was left out of an earlier run and is there now, whatever he holds."""
        fences = self.look_of(self.host).get("fenced", {})
        back = [host for host in fencing.off_for(fences, fencing.AWAY) if not self.look_of(host).get("away")]
        back = [host for host in back if host in self.every["app"]]
        return f"{', '.join(back)} was left out of an earlier release" if back else ""

    def _keep(self, base: dict[str, Any]) -> None:
        """Keep the list of files of what is live, so that the next deploy need not be told it again."""
        text = base.pop("files", "")
        if text:
            remembered.keep_files(self.work_dir, base["digest"], text)

    def _keep_head(self, book: dict[str, Any]) -> None:
        """Remember the head of a ledger in which nothing is wrong, and what is live by it."""
        if book["head"] and not book["wrong"]:
            remembered.write(self.head_kept, book["head"].encode())
        if not book["wrong"]:
            remembered.write(self.live_kept, (sql.live_of(book["lines"]) or "").encode())

    def _known_head(self) -> dict[str, str]:
        """Return the head that this driver saw last and where it keeps it: the host compares before any change."""
        known = head_in(self.head_kept)
        return {"hash": known, "kept": str(self.head_kept)} if known else {}

    def _short(self, seen: dict[str, Any]) -> dict[str, Any]:
        """Return a reading for people and for --json: no lists of files, the ledger as a story."""
        short = {
            key: value for key, value in seen.items() if key not in ("base", "ledger", "tools", "planned", "copied")
        }
        if "ledger" in seen:
            lines = seen["ledger"]["lines"]
            told, spans = ledger.story(lines), ledger.spans(lines)
            short["ledger"] = {key: seen["ledger"][key] for key in ("head", "wrong", "way_out", "torn")}
            short["ledger"]["lines"] = len(lines)
            short["history"] = [
                {
                    "release": r.id,
                    "good": r.good,
                    "withdrawn": r.withdrawn,
                    "hotfix": r.hotfix,
                    "status": r.status,
                    "spans": spans.get(r.id, []),
                    "way_back": _way_back(lines, r),
                    **{k: r.line.get(k) for k in TOLD},
                }
                for r in told.releases.values()
            ]
            short["unlocks"] = [
                {key: line.get(key, "") for key in ("at", "who", "reason")}
                for line in seen["ledger"]["lines"]
                if line.get("event") == "unlock"
            ]
            short["scaled"] = sizes.last(lines)
            short["scales"] = [
                {key: line.get(key, "") for key in ("at", "who", "reason")}
                for line in lines
                if line.get("event") == "scale"
            ]
            short.update({"would_roll_back_to": self._target()} if self.args["whole"] else {})
            short.update({"tale": self._tale(seen["ledger"]["lines"])} if self.args["tale"] else {})
        url = f"https://{self.entry['domain']}" + (
            f":{self.value('public_port')}" if int(self.value("public_port", 443)) != 443 else ""
        )
        return {
            "environment": self.environment,
            "app": self.app,
            "run": self.run_id,
            "url": url,
            "ca": self.ca,
            **short,
        }

    def _tale(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        try:
            return ledger.tale(lines, str(self.value("why", "") or ""))
        except ledger.Refused as refused:
            raise Stopped(self.host, {"reason": str(refused), "hint": refused.hint, "refused": True}) from None

    def _target(self) -> str:
        """Return what a rollback would go to, once all hosts have said what they have, or had the time to."""
        if self.several:
            self.vigil(lambda: None, every_s=LEASE_S, most_s=LEASE_S)
        return going_back.target(self)
