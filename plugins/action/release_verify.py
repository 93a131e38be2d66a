"""Go through the live release's steps under verify: from its hosts, from the driver, or from both."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect, verify
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import junit
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction, Stopped

LATER = "Ferryman's docs/guides/verify.md shows steps under verify in ferryman.yml"


class ActionModule(ReleaseAction):
    """ferryman.ops.release_verify"""

    def work(self) -> dict[str, Any]:
        """Ask, write the report where one is wanted, and return every step's result."""
        told, wanted = self._asked()
        results = {self.host: told["results"]} if told["results"] else {}
        if self.value("verify_from") != "hosts" and self.host == self.groups["app"][0]:
            results["driver"] = self._from_here(told, wanted)
        every = [result for each in results.values() for result in each]
        if every and all(result["result"] == verify.LEFT_OUT for result in every):
            reason = f"every step of {told['release']} writes, and none of them is wanted here"
            self._refuse(reason, hint=f"apps.{self.app}.verify_writes says where: {', '.join(expect.VANTAGES)}")
        self._report(results, told["release"])
        bad = [f"{where}: {verify.sentence(result)}" for where, each in results.items() for result in each
               if result["result"] == verify.FAILED]  # fmt: skip
        short = {"release": told["release"], "verify": results}
        hidden = told["maintenance"]
        answer = {"good": not bad, "bad": bad, "maintenance": hidden, **short}
        return {**answer, "ferryman": {**short, "maintenance": {self.host: hidden}}}

    def _asked(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Ask the host; once more with the secrets that its release's steps turn out to need."""
        wanted = self.verification([])
        hosts = self.value("verify_from") != "driver"
        told = self.ask("verify", verify=wanted, hosts=hosts)["verify"]
        if not told["release"]:
            self._refuse("nothing is live", hint="`deploy` comes first")
        if not told["steps"]:
            self._refuse(f"{told['release']} has no steps under verify, so nothing was asked", hint=LATER)
        if told["wants"]:
            wanted = self.verification(told["steps"])
            missing = expect.lacking(told["steps"], wanted["secrets"])
            if missing:
                self._refuse(expect.lack(told["release"], missing), hint=f"apps.{self.app}.secrets must name it")
            told = self.ask("verify", verify=wanted, hosts=hosts)["verify"]
        return told, wanted

    def _refuse(self, reason: str, *, hint: str) -> NoReturn:
        raise Stopped(self.host, {"reason": reason, "hint": hint, "refused": True, "evidence": []})

    def _from_here(self, told: dict[str, Any], wanted: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask as a client does: by name, over HTTPS, trusting what this environment's clients trust.

        Names below .localhost are this machine (RFC 6761, 6.3), whatever the resolver says.
        """
        name, port = self.entry["domain"], int(self.value("public_port", 443))
        here = name == "localhost" or name.endswith(".localhost")
        address = str(self.value("public_address", "") or "") or ("127.0.0.1" if here else name)
        host = name if port == 443 else f"{name}:{port}"
        authorities = str(self.value("ca", "") or "")
        try:
            trusted = ssl.create_default_context(cafile=authorities or None)
        except OSError as error:
            self._refuse(f"cannot read {authorities}: {error.strerror or error}", hint="release_ca names it")
        place = verify.Place("driver", address, port, host, name=name, tls=trusted)
        return verify.run(
            told["steps"],
            place,
            release=told["release"],
            given=wanted["secrets"],
            writes="driver" in wanted["writes"],
            timeout_s=wanted["timeout_s"],
        ).results

    def _report(self, results: dict[str, Any], release: str) -> None:
        """Write the report for a pipeline; each host has a process of its own, and the last one writes all of it."""
        path = str(self.value("verify_junit", "") or "")
        if not path:
            return
        with self.alone():
            every = {**self.recall("verify"), **results}
            self.remember("verify", every)
            text = junit.report(every, app=self.app, environment=self.environment, release=release)
            fresh = Path(f"{path}.new")
            try:
                fresh.parent.mkdir(parents=True, exist_ok=True)
                fresh.write_text(text, encoding="utf-8")
                os.replace(fresh, path)
            except OSError as error:
                self._refuse(f"cannot write {error.filename}: {error.strerror}", hint="release_verify_junit names it")
