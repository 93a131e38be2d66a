"""Hand a run over to its arbiter, which drives it from there on. What was built goes along, and the app's secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.driving import EVENTS, KNOWN, RUNS, unit_of
from ansible_collections.ferryman.ops.plugins.module_utils.release.reaching import SAFE
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import handing
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ENDED, LEASE_S, ReleaseAction

CHILDREN = ("app", "entry", "db")
REACHED = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "/usr/bin/python3"}
"""How the arbiter reaches itself: as root, which its unit is."""


class ActionModule(ReleaseAction):
    """ferryman.ops.release_hand_over"""

    def work(self) -> dict[str, Any]:
        """Send what the arbiter lacks to drive, and have it begin."""
        if self._task.check_mode or self.host != self.arbiter:
            return {"skipped_here": True}
        ways = self._ways()
        able = self.recall("able") or self.ask("able")["able"]
        key, wheels, sums = handing.wheels(self.work_dir, able["tools"])
        toolkit = handing.toolkit()
        drive = {
            "environment": key,
            "toolkit": handing.version(toolkit),
            "sums": sums,
            "values": self._values(),
            "ways": ways,
            "forks": int(context.CLIARGS.get("forks") or constants.DEFAULT_FORKS),
        }
        files = dict(self._run(ways))
        if key not in able["environments"]:
            files |= {f"wheels/{name}": (wheels / name).read_bytes() for name in sums}
        if drive["toolkit"] not in able["toolkits"]:
            files |= {f"toolkit/{name}": content for name, content in toolkit.items()}
        body = handing.packed(files.items())
        with self.watching([names.HAND_OVER]):
            answer = self.ask("steps", body, steps=[names.HAND_OVER], lease_s=LEASE_S, drive=drive)
        told = {**answer["handed_over"], "host": self.host, "run": self.run_id}
        return {**told, "changed": True, "sent_bytes": len(body), "ferryman": {"handed_over": told}}

    def _ways(self) -> dict[str, dict[str, Any]]:
        """Return by host how the arbiter comes to it; refuse hosts with other values than its own."""
        others = self.recall("able").get("others", {})
        ways, mine = {host: self.recall(f"way-{host}") for host in others}, handing.digests(self.value)
        differ = {
            host: [f"release_{name}" for name in mine if way["values"][name] != mine[name]]
            for host, way in ways.items()
        }
        wrong = [f"{host}: {', '.join(names)}" for host, names in differ.items() if names]
        if wrong:
            reason = f"{self.host} drives with its own values, and other hosts have others: {'; '.join(wrong)}"
            self.refuse(reason, "say them once for all (group_vars/all), or leave out --detach")
        return {host: {key: way[key] for key in ("address", "port", "user", "host_keys")} for host, way in ways.items()}

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

    def _run(self, ways: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
        """Yield what the run remembers and what it has built, by names as they are to be below its place."""
        plan = self.recall("plan")
        built = Path(plan["artifact"])
        yield "run/hosts.yml", self._hosts(ways).encode()
        for path in (path for path in self.memory.glob("*.json") if not path.name.startswith(f"{ENDED}-")):
            moved = {**plan, "artifact": str(self._place / "artifact")} if path.name == "plan.json" else None
            content = json.dumps(moved).encode() if moved else path.read_bytes()
            yield f"run/runs/{self.run_id}/{path.name}", content
        for name in ("app.tar", "files.txt", "manifest.json"):
            yield f"run/artifact/{name}", (built / name).read_bytes()
        looks = [self.look_of(host) for host in self.groups["app"]]
        for digest in {(look.get("base") or {}).get("digest", "") for look in looks}:
            known = self.work_dir / "files" / f"{digest}.txt"
            if digest and known.exists():
                yield f"run/files/{known.name}", known.read_bytes()
        yield from self._packages(plan["record"], looks)

    def _packages(self, record: dict[str, Any], looks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
        """Yield what the release's environment is made from, where a host has not got it."""
        key, runtime = record["environment_key"], record["manifest"]["runtime"]
        store = RUNTIMES[runtime["kind"]].STORE
        if key and any(key not in look["environments"] for look in looks):
            for name in runtime.get(store) or {}:
                yield f"run/{store}/{key}/{name}", (self.work_dir / store / key / name).read_bytes()

    def _hosts(self, ways: Mapping[str, Mapping[str, Any]]) -> str:
        """Return the inventory of who drives: the hosts of this run, and how they are reached."""
        reached = {self.host: REACHED, **{host: self._by_ssh(way) for host, way in ways.items()}}
        groups = {kind: {"hosts": dict.fromkeys(self.groups.get(kind, []))} for kind in CHILDREN}
        return json.dumps({"all": {"hosts": reached, "children": groups}})

    def _by_ssh(self, way: Mapping[str, Any]) -> dict[str, Any]:
        """Return how a host is reached by the key of this run, which brings its own command: it needs no sudo."""
        options = (f"UserKnownHostsFile={self._place / KNOWN}", *SAFE)
        return {
            "ansible_host": way["address"],
            "ansible_port": way["port"],
            "ansible_user": way["user"],
            "ansible_become": False,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_private_key_file": f"/run/credentials/{unit_of(self.site)}/key",
            "ansible_ssh_common_args": " ".join(f"-o {option}" for option in options),
        }
