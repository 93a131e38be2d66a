"""A baseline: fresh processes of the release that serves, started with those of the new one, as young as they are.

A new release is then compared with what differs in the release alone. It has web processes and no workers: a job would
be taken twice. No unit of it is enabled, and nginx sends it nobody once a share is set without it, so that neither a
boot nor a driver that vanishes leaves clients there (docs/decisions/0029-baseline.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, probe, shift, slots
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, Unwell

WITHOUT = "set release_baseline: false to deploy without one"


def start(host: Host) -> None:
    """Start fresh web processes of the stable release; Failed (refused) where there is none, or no port for them.

    Of several hosts each has to have that release: nginx would send clients to processes that are not there.
    """
    state = shift.state(host)
    name = slots.holds(host, str(state["stable"]))
    if name != state["release_stable"]:
        said = f"{state['release_stable']} is live, and not on this host: there is nothing to start a baseline of"
        raise Failed(said, hint=WITHOUT, refused=True)
    processes = slots.record(host, str(state["stable"])).get("processes", {})
    if not any(each["kind"] == "web" and each.get("command") for each in processes.values()):
        raise Failed(f"{name or 'nothing'} is live, and has no process for a baseline", hint=WITHOUT, refused=True)
    try:
        slots.start(host, names.BASELINE, name, fresh=True, kinds=("web",))
    except Unwell as ill:  # it says nothing of the new release
        raise _ill(name, ill) from None


def pass_gate(host: Host, settings: Mapping[str, Any]) -> None:
    """Wait until its processes have passed the gate that the new release has to pass, too."""
    try:
        probe.pass_gate(
            host,
            names.BASELINE,
            consecutive=settings["health_consecutive"],
            soak_s=settings["soak_s"],
            timeout_s=settings["start_timeout_s"],
        )
    except Unwell as ill:
        raise _ill(slots.holds(host, names.BASELINE), ill) from None


def _ill(release: str, ill: Unwell) -> Failed:
    return Failed(f"{release}, which serves, does not come up anew: {ill}", evidence=ill.evidence, hint=WITHOUT)


def forget(host: Host) -> None:
    """Let nothing lead to a baseline any more, whose processes have ended."""
    with suppress(FileNotFoundError):
        host.site.slot(names.BASELINE).unlink()
