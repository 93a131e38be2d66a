"""Do steps of a deploy or a rollback on a host, in one session."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    expect,
    fencing,
    files,
    ledger,
    names,
    render,
    sizes,
    succession,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import INTERRUPTED, utc
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import batches, concerned, remembered, tarball
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction, Stopped

WHERE = {
    "stage": ("app", "arbiter"),
    "withstand": ("app",),
    "start": ("app", "arbiter"),
    "fence": ("entry",),
    "leave_out": ("entry",),
    "switch": ("entry", "app"),
    "hold": ("entry", "app"),
    "note": ("arbiter",),
    "commit": ("arbiter",),
    "settle": ("entry", "app"),
    "snapshot": ("db",),
    "unlock": ("arbiter",),
    "maintenance": ("entry",),
    "grow": ("app",),
    "members": ("entry",),
    "shrink": ("app",),
    "scaled": ("arbiter",),
    "say": ("entry",),
    "recent": ("entry",),
    **dict.fromkeys(names.RESTORING, ("app",)),
}
"""Whom a step concerns; the arbiter is told when a run begins, and of others when they are the first who know."""
KEPT = ("restore_point", "restore_point_sha256", "schema_before", "schema_after", "migrated")
"""What a step's answer says that the ledger's line will need."""
ONE_APP_HOST = ("migrate", "keep_schema", "once")
"""What one app host does alone."""
LONG = {
    *("mend", "stage", "snapshot", "migrate", "withstand", "keep_schema", "start", "switch", "workers"),
    *("grow", "members", "shrink"),
}
"""Steps that may take longer elsewhere than the arbiter's lock is kept without a word."""
ENDS = {"settle", "return"}
"""Steps of the arbiter with which a run is over."""
SEALED = {"switch", "commit", "return"}
"""Steps by which hosts learn how they will know what the arbiter says, or it says it."""


class ActionModule(ReleaseAction):
    """ferryman.ops.release_step"""

    ARGUMENTS: ClassVar = {
        "steps": {"type": "list", "elements": "str", "required": True},
        "reason": {"type": "str", "default": ""},
        "maintenance": {"type": "bool", "default": False},
        "page_of": {"type": "str", "default": ""},
        "process": {"type": "str", "default": ""},
        "holder": {"type": "str", "default": ""},
        "word": {"type": "str", "default": ""},
        "word_share": {"type": "int", "default": 0},
        "back": {"type": "bool", "default": False},
        "fence": {
            "type": "dict",
            "options": {
                "host": {"type": "str", "required": True},
                "out": {"type": "bool", "required": True},
                "why": {"type": "str", "default": ""},
                "reason": {"type": "str", "default": fencing.HAND, "choices": [fencing.HAND, fencing.MAINTENANCE]},
            },
        },
        "plan": {"type": "bool", "default": False},
        "of": {"type": "str", "default": "all", "choices": ["all", "arbiter", "others"]},
    }

    def work(self) -> dict[str, Any]:
        """Do those of `steps` that concern this host."""
        if self.stoppable and not self.asks and self._failed_elsewhere():
            raise Stopped(
                self.host, {"reason": INTERRUPTED, "refused": True}
            )  # in an earlier turn: nothing is begun here
        result = self._work()
        # Where a step concerns nobody, its task runs on one host, and no other one will say that it has ended.
        together = self.several and not self.asks and not self._task.run_once
        if together and self.host == self.arbiter and not LONG.isdisjoint(self.args["steps"]):
            self._keep_on()
        return result

    @property
    def asks(self) -> bool:
        """Whether nothing is done."""
        return bool(self.args["plan"] or self._task.check_mode)

    def _keep_on(self) -> None:
        """Renew the lock while only others are at work: one who comes in between would begin in its middle.

        While they move workers that take long to end, or in turns, the shift stands on, too, as long as that may take.
        """
        takes_s = batches.workers_s(self) if "workers" in self.args["steps"] else 0.0
        confirm_s, until = self.settings["confirm_s"], time.monotonic() + takes_s

        def keep() -> None:
            left = until - time.monotonic()
            self.ask("steps", steps=["keep"], lease_s=LEASE_S, stands_s=max(0.0, min(confirm_s, left)))

        self.vigil(keep, every_s=(min(LEASE_S, confirm_s) if takes_s else LEASE_S) / 3)

    def _work(self) -> dict[str, Any]:
        wanted = [name for name in self.args["steps"] if self._concerns(name)]
        if not wanted:
            return {"skipped_here": True}
        plan = self.recall("plan")
        more, body = self._request(plan, wanted)
        if self.args["plan"]:
            return self._foresee(more, wanted)
        if "migrate" in wanted and not self._task.check_mode:
            # Should this host be lost meanwhile, its end is not known: nobody migrates anywhere else before it is.
            self.remember("facts", {**self.recall("facts"), "migrating": True})
        if "keep_schema" in wanted and not self._task.check_mode:
            self.remember("facts", {**self.recall("facts"), "undoing": True})  # until it answers, for the same reason
        try:
            with self.watching(wanted):
                staged = more.get("stages") and not self._task.check_mode
                answer = self._in_stages(more) if staged else self._asked(more, body, plan, wanted)
        except Stopped as stopped:
            if stopped.told.get("judged"):
                self.remember("judged", {"said": f"{self.host}: {stopped.told['reason']}"})
            self._note(plan, stopped.told)  # a migration that failed half-way has moved the schema all the same
            self._answered(wanted)
            raise
        self._note(plan, answer)
        self._answered(wanted)
        if "return" in wanted and self.several and self.host == self.arbiter:
            self.remember("end", {"end": "live" if answer.get("committed") else "returned"})
        result = self.outcome(answer, steps=answer["steps"], token=answer["token"])
        result["ferryman"] = self._report(plan, answer, wanted, more)
        if plan.get("event") == "deploy" and self.host == self.arbiter and not (ENDS.isdisjoint(wanted) or self.asks):
            path, problem = self._tell_end(plan, answer, wanted, more["line"])
            result["ferryman"].update({"report": path} if path else {})
            result.update({"warnings": [problem]} if problem else {})
        return result

    def _answered(self, wanted: list[str]) -> None:
        """Forget that the schema may still be taken back here: the host has said what came of it."""
        if "keep_schema" in wanted:
            self.remember("facts", {key: value for key, value in self.recall("facts").items() if key != "undoing"})

    def _foresee(self, more: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        """Let the host say in check mode what the steps would come to; keep it for whoever makes the plan."""
        try:
            answer = self.ask("steps", check=True, bare=True, **more)
            found = {key: answer.get(key, []) for key in ("steps", "pruned", "removed")}
        except Stopped as stopped:
            found = {"steps": stopped.answer["steps"], "refused": stopped.answer}
        sent = more.get("stage", {}).get("sent_bytes", 0)
        self.remember(f"foreseen-{self.host}", {**found, "order": list(self.args["steps"]), "sent_bytes": sent})
        return {"steps": wanted}

    @property
    def stoppable(self) -> bool:
        """What is committed goes on to its end, and a way back is never cut short."""
        return not names.BEFORE_COMMIT.isdisjoint(self.args["steps"])

    def _concerns(self, step: str) -> bool:
        """Say whether this host has work in a step; some are one host's alone, whatever their number."""
        if self.args["of"] != "all" and (self.args["of"] == "arbiter") != (self.host == self.arbiter):
            return False
        if step in ONE_APP_HOST:
            return self.host == self.first_app
        if step in concerned.CONCERN:
            return concerned.CONCERN[step](self, self.host)
        if step == "withstand" and self.host in self.away:
            return False  # what serves elsewhere has not come here yet
        if step == "start" and "app" not in self.roles:
            return self.host == self.arbiter and self.recall("plan").get("event") == "rollback"
        if step == "return" and self.several:
            return not {"app", "entry"}.isdisjoint(self.roles)
        return step not in WHERE or not {*WHERE[step]}.isdisjoint(self.roles)

    def _request(self, plan: dict[str, Any], wanted: list[str]) -> tuple[dict[str, Any], bytes]:
        more: dict[str, Any] = {"steps": wanted, "settings": self.settings, "lease_s": LEASE_S}
        more.update({key: plan[key] for key in ("release", "slot", "line", "description", "point") if key in plan})
        more["database"] = str(dict(self.value("database", {}) or {}).get("name", ""))
        more["reason"] = self._why(wanted)[:500]
        more["maintenance"] = bool(self.args["maintenance"])
        more.update({key: str(self.args[key]) for key in ("page_of", "process", "holder", "word")})
        more["word_share"] = int(self.args["word_share"])
        if fences := {"fence", "leave_out"}.intersection(wanted):
            more["fence"] = self._fence() if "fence" in fences else self._leaves_out(plan)
        more.update(self._scaling(wanted))
        more.update(self._book(wanted))
        if more.get("line"):
            known = {**self.recall("facts"), **self.recall("verdicts")}
            more["line"] = {**more["line"], **known, "duration_s": round(time.time() - plan["began"], 3)}
        if "description" not in more and plan:
            more["description"] = self._described(plan)
        if plan.get("migrate") and {"stage", "withstand"} & {*wanted} and self.value("verify", True):
            live = self._described({"release": plan["previous"]}).get("verify") or []
            told = {**self.verification(live), "writes": []}
            # Without a secret that its steps want, what serves would look ill to whoever asks.
            more["verify_live"] = told if live and not expect.lacking(live, told["secrets"]) else {}
        if self.several:
            more.update(self._among_many(plan, wanted, more.get("description") or {"processes": {}}))
        body = b""
        if "stage" in wanted and "app" in self.roles:
            more["secrets"] = self.secrets
            more["stage"], body = self._stage(plan)
            more["migrates"] = plan["migrate"]
        if "start" in wanted:
            # What is warm there was connected to a database that has another name by then.
            more["fresh"] = plan.get("event") == "deploy" or "point" in plan
            more["baseline"] = self._has_baseline(plan) and self.host not in self.away
            more["turns_s"] = batches.start_s(self)
        if "recent" in wanted:
            more.update(self._recent())
        if "switch" in wanted and "entry" in self.roles and plan.get("event") == "deploy":
            more["stages"] = {**told, "baseline": self._has_baseline(plan)} if (told := self._stages()) else {}
        steps = more.get("description", {}).get("verify")
        asks = {"start", "switch", *(["settle"] if "point" in plan else [])}  # which then comes from behind the page
        if steps and self.value("verify", True) and not asks.isdisjoint(wanted):
            more["verify"] = self.verification(steps)
        if "settle" in wanted:
            more.update(self._settling(plan, database=more["database"]))
        return more, body

    def _why(self, wanted: list[str]) -> str:
        """Return why it goes back: what failed first, on whichever host; where nobody knows, what the task says."""
        back = "return" in wanted or self.args["back"]
        return (self.cause if back else "") or str(self.args["reason"])

    def _has_baseline(self, plan: Mapping[str, Any]) -> bool:
        """Say whether this run has one: a deploy, where something is live already."""
        if plan.get("event") != "deploy" or not plan["previous"]:
            return False
        return self.compares_with_baseline(plan["description"])

    def _scaling(self, wanted: list[str]) -> dict[str, Any]:
        """What a host is told of how many instances run: by whoever scales, and where it knows nothing of that yet."""
        if not {*names.SCALING}.isdisjoint(wanted):
            return {"scale": self.recall("scale").get("back" if self.args["back"] else "there", {})}
        starts = "start" in wanted
        return {"scaled": sizes.last(self.look_of(self.arbiter)["ledger"]["lines"])} if starts else {}

    def _settling(self, plan: Mapping[str, Any], *, database: str) -> dict[str, Any]:
        """What a host is told that settles: to go on watching, where this run has watched; in a plan, other things."""
        if self.asks:
            return {"record": plan.get("record"), "dumped": bool(plan["migrate"] and database)}
        after = self._after(plan)
        if after and self.host == self.arbiter:
            others = {*self.groups["app"], *self.groups["entry"]} - {self.host}
            after = after if all(self.recall(f"follows-{host}").get("follows") for host in others) else {}
        return {"after": after} if after else {}

    def _after(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """What hosts need to go on watching what this run has watched; nothing where it can't be brought back.

        Of several hosts each must have the release before, and be reached: with a host that is left out, or was until
        now, the watch before the commit is the last one.
        """
        watched = self.recall("watched")
        if not plan or watched.get("release") != plan["release"]:
            return {}
        told = {"since": watched["since"], "log": self._log, "salt": self.salt}
        told["limits"] = dict(self.value("limits", {}) or {})
        if not self.several:
            return told
        entries = {host: self.addresses.get(host) for host in self.groups["entry"]}
        del entries[self.arbiter]
        if self.left_out or self.away or not plan["previous"] or not all(entries.values()):
            return {}
        back = {"release": plan["previous"], "description": self._described({"release": plan["previous"]})}
        return {**told, "entries": entries, "back": back}

    def _book(self, wanted: list[str]) -> dict[str, Any]:
        """What a host is told of the ledger that it does not keep itself, or takes over from a host that is gone."""
        if "settle" in wanted and self.host != self.arbiter:
            before = self.look_of(self.arbiter)["ledger"]["lines"]
            return {"ledger": succession.up_to_the_commit(before, self.recall("committed").get("lines", []))}
        if "unlock" in wanted and self.value("unlock_force", False):
            looks = {host: self.look_of(host) for host in (*self.every["entry"], *self.every["app"])}
            copies = {host: look["copied"] for host, look in looks.items() if look.get("copied")}
            token = max(int(look.get("token", 0)) for look in looks.values())
            return {"takes_over": {"token": token, "copies": copies}}
        return {}

    def _fence(self) -> dict[str, Any]:
        """Whom an entry fences off, or lets in, by the task's word; nobody in who has not the release that is live."""
        told = self.args["fence"]
        host, out = told["host"], told["out"]
        if host not in self.groups["app"]:
            self.refuse(f"{host!r} is no app host", f"one of: {', '.join(self.groups['app'])}")
        fences = self.look_of(self.host).get("fenced", {})
        if not out and told["reason"] == fencing.HAND and host in fencing.off_for(fences, fencing.AWAY):
            why = fences[host]["for"][fencing.AWAY]["why"]
            self.refuse(f"{host} was left out: {why}", "`deploy` brings the release there, and lets it in")
        more = {"out": out, "reason": told["reason"], "why": told["why"], "drain_s": self.settings["drain_s"]}
        return {"hosts": self._addresses_of([host]), **more}

    def _leaves_out(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Whom an entry fences off before any client is moved, since this run leaves him out."""
        why = {"why": f"without it {plan['release']} went live: {'; '.join(self.left_out.values())}"}
        return {"hosts": self._addresses_of(self.left_out), "out": True, "reason": fencing.AWAY, **why}

    def _addresses_of(self, hosts: Iterable[str]) -> dict[str, str]:
        wrong = "the entries do not know where {} is, whom they send no clients to"
        return {host: self.address_of(host, wrong) for host in hosts}

    def _stages(self) -> dict[str, Any]:
        """The shares of the clients that a release is given one after the other, and where the entry logs them."""
        return {"stages": self.stages, "log": self._log} if self.stages else {}

    @property
    def _log(self) -> str:
        """Where the entry logs what clients of this site got."""
        return f"{self.value('entry_log')}/{self.site}.access.json"

    def _recent(self) -> dict[str, Any]:
        """What an entry is told that says what clients got lately; clients of all entries have one name each.

        Steps under verify are asked as in a stage; without a secret that they want, what serves would look ill.
        """
        from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import limits  # no deploy wants it

        hang_s = limits.read(self.value("limits", {}) or {}).hang_s
        told = {"log": self._log, "salt": self.salt, "for_s": float(self.value("judge_s", 600)), "hang_s": hang_s}
        described = self._described({"release": self.look_of(self.arbiter)["shift"]["release_stable"]})
        steps = described.get("verify") or []
        given = {**self.verification(steps), "writes": []} if steps and self.value("verify", True) else {}
        asks = given and not expect.lacking(expect.asked(steps, []), given["secrets"])
        more = {"recent": told, "description": described, "beside": self._beside()}
        return {**more, **({"verify": given} if asks else {})}

    def _beside(self) -> str:
        """Return the release in the slot that clients have left, where it is what a rollback would go back to."""
        from ansible_collections.ferryman.ops.plugins.plugin_utils.release import going_back  # no deploy wants it

        left = names.other(self.look_of(self.arbiter)["shift"]["stable"])
        held = str(self.look_of(self.first_app).get("slots", {}).get(left, ""))
        return held if held == going_back.target(self) else ""

    def _in_stages(self, more: dict[str, Any]) -> dict[str, Any]:
        """Have the release's share grow as the verdict says; then everyone gets it, and is watched."""
        from ansible_collections.ferryman.ops.plugins.plugin_utils.release.canary import Canary  # few runs have stages

        began, canary = time.monotonic(), Canary(self, more)
        told = {**more, **canary.through(), "settings": {**self.settings, "watch_s": 0.0}}
        try:
            answer = self.ask("steps", **told)
        except Stopped as stopped:
            canary.went_back(stopped.told)
            raise
        canary.watch(self.settings["watch_s"])
        if self.host == self.arbiter:
            self.remember("watched", {"release": more["release"], "since": canary.began[-1]})
        answer["steps"] = [{"step": "switch", "seconds": round(time.monotonic() - began, 3)}]
        return answer

    def _tell_end(
        self, plan: Mapping[str, Any], answer: Mapping[str, Any], wanted: list[str], line: Mapping[str, Any]
    ) -> tuple[str, str]:
        """Tell who looks on how a deploy ended; write its report, and return where that is, or why there is none."""
        from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report  # once in a run

        live, now = "settle" in wanted or bool(answer.get("committed")), time.time()
        if self.stages:
            from ansible_collections.ferryman.ops.plugins.plugin_utils.release import canary_looks  # few have some

            canary_looks.ended(self, "live" if live else "returned", now)
        status = "live" if live else "returned" if answer.get("moved") else "failed"
        more = {"at": utc(now), "duration_s": round(now - plan["began"], 3), "entries": self.groups["entry"]}
        told = {**line, **more, "status": status, "reason": "" if live else self._why(wanted)}
        seen = {host: self.recall(f"verified-{host}") for host in dict.fromkeys(self.groups["app"] + told["entries"])}
        told["verified"] = {host: each for host, each in seen.items() if each}
        try:
            return report.write(self.memory, told, app=self.app, environment=self.environment), ""
        except Exception as error:  # noqa: BLE001 - a full disk, looks that end half-way: it ended so without a report
            return "", f"this deploy has no report in {self.memory}: {type(error).__name__}: {error}"

    def _among_many(self, plan: dict[str, Any], wanted: list[str], described: Mapping[str, Any]) -> dict[str, Any]:
        """What a host is told beside, where others must come to the same end."""
        more: dict[str, Any] = {}
        if "seal" in plan and not SEALED.isdisjoint(wanted):
            where = self.address_of(
                self.arbiter, "the other hosts do not know where {} is, whom they ask how a run ended"
            )
            asks = {"address": where, "seal": plan["seal"], **self.entry}
            more.update({"seal": plan["seal"]} if self.host == self.arbiter else {"asks": asks})
            more.update({"watched": bool(self._after(plan))} if "commit" in wanted else {})
        if "withstand" in wanted or "keep_schema" in wanted:
            said = {host: self.recall(f"withstands-{host}").get("said", "") for host in self.groups["app"]}
            more.update(several=True, ill=said)
        if {"stage", "start"} & {*wanted} and self.host == self.arbiter:
            more.update({"seal": plan["seal"]} if "seal" in plan else {})
            heard = [self.recall(f"heard-{host}") for host in self.groups["app"]]
            more["heard"] = [each for each in heard if each]
        if "switch" in wanted and self.host != self.arbiter:
            # While app hosts move their workers, the arbiter alone is told that the shift stands on.
            more["patience_s"] = batches.workers_s(self)
        if "switch" in wanted and "entry" not in self.roles:
            # The entries are at work for as long, and an app host has nothing to do meanwhile.
            verify = bool(described.get("verify")) and self.value("verify", True)
            more["patience_s"] += self.stages_take_s + (float(self.value("verify_timeout_s", 60)) if verify else 0)
        if "switch" in wanted and "entry" in self.roles:
            more["takes_part"] = self.groups["app"]
            processes = described["processes"].values()
            health: dict[str, Any] = next(
                (p["health"] for p in processes if p["kind"] == "web" and p.get("health")), {}
            )
            listens = {host: self.recall(f"listens-{host}").get("listens", {}) for host in self.groups["app"]}
            more["members"] = {
                place: {"members": {host: each.get(place, []) for host, each in listens.items()}, "health": health}
                for place in {place for each in listens.values() for place in each}
            }
        if "return" in wanted:
            more["end"] = str(self.recall("end").get("end", ""))
            more["judged"] = bool(self.recall("judged"))
        if "mend" in wanted:
            arbiter, pending = self.look_of(self.arbiter), self.look_of(self.host).get("shift", {})
            live = ledger.committed(arbiter["ledger"]["lines"], str(pending.get("run", "")))
            stable = {"slot": arbiter["shift"]["stable"], "release": arbiter["shift"]["release_stable"]}
            end = "live" if live else "returned"
            more["arbiter"] = {**stable, "end": end, "left_out": self.host in self.away}
            by = arbiter["shift"].get("stable_run", {})
            if by.get("undoes") and by["undoes"] == pending.get("stable_run", {}).get("run"):
                more["arbiter"]["back"] = {**stable, "by": by["run"], "token": arbiter["shift"]["token"]}
        return more

    def _asked(self, more: dict[str, Any], body: bytes, plan: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        answer = self.ask("steps", body, **more)
        if answer.get("missing"):
            # Something that the live release had is gone or was edited after we looked: send it too, once.
            more["stage"], body = self._stage(plan, extra=answer["missing"])
            answer = self.ask("steps", body, **more)
        if answer.get("missing"):
            raise Stopped(
                self.host,
                {
                    "reason": f"still missing: {answer['missing'][:5]}",
                    "step": "stage",
                    "evidence": [],
                    "hint": "build again",
                },
            )
        return answer

    def _described(self, plan: dict[str, Any]) -> dict[str, Any]:
        """A rollback's description is on the host, in the release itself; the switch needs only what it looks at."""
        look = self.look_of(self.host if "app" in self.roles else self.first_app)
        return dict(
            next(
                (r["checks"] for r in look.get("releases", []) if r["id"] == plan["release"] and r.get("checks")),
                {"processes": {}, "health": {}},
            )
        )

    def _note(self, plan: dict[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep what the ledger's line will need."""
        if "verified" in answer:
            self.remember(f"verified-{self.host}", {**self.recall(f"verified-{self.host}"), **answer["verified"]})
        if "recent" in answer:
            self.remember(f"recent-{self.host}", answer["recent"])
        if self.several and "listens" in answer:
            self.remember(f"listens-{self.host}", {key: answer[key] for key in ("listens", "moving_s")})
        if "withstands" in answer:
            self.remember(f"withstands-{self.host}", {"said": answer["withstands"]})
        if "heard" in answer:
            self.remember(f"heard-{self.host}", answer["heard"])
        if "follows" in answer:
            self.remember(f"follows-{self.host}", {"follows": answer["follows"]})
        if "book" in answer:
            self.remember("committed", {"lines": answer["book"]})
        if "head" in answer:
            remembered.write(self.head_kept, answer["head"].encode())
        facts: dict[str, Any] = {key: answer[key] for key in KEPT if key in answer}
        if "lost" in answer:
            kept = {key: answer[key] for key in ("lost", "kept") if key in answer}
            facts["with_database"] = {**plan["line"]["with_database"], **kept}
        if facts:
            self.remember("facts", {**self.recall("facts"), **facts})

    def _report(
        self, plan: dict[str, Any], answer: dict[str, Any], wanted: list[str], more: dict[str, Any]
    ) -> dict[str, Any]:
        report: dict[str, Any] = {
            key: answer[key]
            for key in (
                "gate",
                "drained_s",
                "by_hand",
                "gate_s",
                "share",
                "pruned",
                "removed",
                "moved",
                "broken",
                "took_over",
                "committed",
                "restore_point",
                "no_restore_point",
                "maintenance",
                "output",
                "verified",
                "lost",
                "kept",
                "under_way_s",
                "undone",
                "unwell",
                "said",
                "fenced",
                "watched_s",
            )
            if key in answer
        }
        report.update({"emptied": {self.host: answer["emptied"]}} if "emptied" in answer else {})
        sent = {"stage": {"sent_bytes": more["stage"]["sent_bytes"]}} if "stage" in more else {}
        report["steps"] = [{"host": self.host, **step, **sent.get(step["step"], {})} for step in answer["steps"]]
        if "settle" in wanted and self.host == self.arbiter:
            report.update(release=plan["release"], previous=plan["previous"], status="live", event=plan["event"])
        return report

    # What travels

    def _stage(self, plan: dict[str, Any], extra: Iterable[str] = ()) -> tuple[dict[str, Any], bytes]:
        look, record = self.look_of(self.host), plan["record"]
        place = Path(plan["artifact"])
        text = (place / "files.txt").read_text(encoding="utf-8")
        base = look.get("base") or {}
        known = self.work_dir / "files" / f"{base.get('digest', '')}.txt"
        before = known.read_text(encoding="utf-8") if base and known.exists() else ""
        have = files.load(before)
        edited = {*look.get("edited", []), *extra}
        entries = files.load(text)
        send = {
            path for path, entry in entries.items() if not entry.link and (have.get(path) != entry or path in edited)
        }
        packages = [] if record["environment_key"] in look["environments"] else self._packages(record)
        body = _packed([*tarball.pick(place / "app.tar", entries, send), *packages])
        site = Site(self.site)
        launchers = render.launchers(site, plan["description"], environment=self.environment, release=plan["release"])
        return {
            "release": plan["release"],
            "record": record,
            **({"change": files.change(before, text)} if before else {"files": text}),
            "base": base.get("id", ""),
            "sent_bytes": len(body),
            "launchers": launchers,
            "shared": plan["description"]["shared"],
        }, body

    def _packages(self, record: Mapping[str, Any]) -> Iterable[bytes]:
        """What a release's environment is made from, as members of what is sent."""
        runtime, key = record["manifest"]["runtime"], record["environment_key"]
        store = RUNTIMES[runtime["kind"]].STORE
        for name in sorted(runtime.get(store) or {}) if key else []:  # a plan fetches none
            content = (self.work_dir / store / key / name).read_bytes()
            yield tarball.member(f"{store}/{key}/{name}", 0o644, content)


def _packed(members: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join([*members, tarball.END]), compresslevel=1, mtime=0)
