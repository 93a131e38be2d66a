"""Hand a run over to its arbiter, which drives it from there on. What was built goes along, and the app's secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.driving import EVENTS, RUNS
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import handing
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import LEASE_S, ReleaseAction

CHILDREN = ("app", "entry", "db")
REACHED = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "/usr/bin/python3"}
"""How the arbiter reaches the one host there is: itself, as root."""


class ActionModule(ReleaseAction):
    """ferryman.ops.release_hand_over"""

    def work(self) -> dict[str, Any]:
        """Send what the arbiter lacks to drive, and have it begin."""
        if self._task.check_mode:
            return {"skipped_here": True}
        able = self.ask("able")["able"]
        key, wheels, sums = handing.wheels(self.work_dir, able["tools"])
        toolkit = handing.toolkit()
        drive = {"environment": key, "toolkit": handing.version(toolkit), "sums": sums, "values": self._values()}
        files = dict(self._run())
        if key not in able["environments"]:
            files |= {f"wheels/{name}": (wheels / name).read_bytes() for name in sums}
        if drive["toolkit"] not in able["toolkits"]:
            files |= {f"toolkit/{name}": content for name, content in toolkit.items()}
        body = handing.packed(files.items())
        with self.watching([names.HAND_OVER]):
            answer = self.ask("steps", body, steps=[names.HAND_OVER], lease_s=LEASE_S, drive=drive)
        told = {**answer["handed_over"], "host": self.host, "run": self.run_id}
        return {**told, "changed": True, "sent_bytes": len(body), "ferryman": {"handed_over": told}}

    @property
    def _place(self) -> Path:
        """Where the run lies on the arbiter."""
        return RUNS / self.site / self.run_id

    def _values(self) -> str:
        """What the arbiter is told, as YAML; with the application's secrets it goes into a request and nowhere else."""
        given = {name: self.value(name) for name in handing.options()}
        given |= {"run": self.run_id, "who": self.who, "work_dir": str(self._place)}
        given["progress_file"] = str(self._place / EVENTS)
        return handing.text({f"release_{name}": value for name, value in given.items()})

    def _run(self) -> Iterator[tuple[str, bytes]]:
        """Yield what the run remembers and what it has built, by names as they are to be below its place."""
        plan = self.recall("plan")
        built = Path(plan["artifact"])
        yield "run/hosts.yml", self._hosts().encode()
        for path in self.memory.glob("*.json"):
            moved = {**plan, "artifact": str(self._place / "artifact")} if path.name == "plan.json" else None
            content = json.dumps(moved).encode() if moved else path.read_bytes()
            yield f"run/runs/{self.run_id}/{path.name}", content
        for name in ("app.tar", "files.txt", "manifest.json"):
            yield f"run/artifact/{name}", (built / name).read_bytes()
        digest = (self.look_of(self.host).get("base") or {}).get("digest", "")
        known = self.work_dir / "files" / f"{digest}.txt"
        if digest and known.exists():
            yield f"run/files/{known.name}", known.read_bytes()
        yield from self._packages(plan["record"])

    def _packages(self, record: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
        """Yield what the release's environment is made from, where the host has not got it."""
        key, runtime = record["environment_key"], record["manifest"]["runtime"]
        store = RUNTIMES[runtime["kind"]].STORE
        if key and key not in self.look_of(self.host)["environments"]:
            for name in runtime.get(store) or {}:
                yield f"run/{store}/{key}/{name}", (self.work_dir / store / key / name).read_bytes()

    def _hosts(self) -> str:
        groups: dict[str, Any] = {kind: {"hosts": {host: {} for host in self.every.get(kind, [])}} for kind in CHILDREN}
        return json.dumps({"all": {"vars": REACHED, "children": groups}})
