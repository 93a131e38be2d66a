"""The units of a site as this host's systemd has them: told, read back, and what it refuses is said with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

AT_WORK = "active,activating,reloading,deactivating"
"""Also what is on its way, or waits to be started again after a crash."""


def running(host: Host) -> set[str]:
    """Return the units of the site that run."""
    return _listed(host, "active")


def at_work(host: Host) -> set[str]:
    """Return the units of the site that do not rest, whether or not there still is a file for them."""
    return _listed(host, AT_WORK)


def _listed(host: Host, states: str) -> set[str]:
    return _matching(host, states, f"{host.site.name}-*@*")


def _matching(host: Host, states: str, pattern: str) -> set[str]:
    out = host.systemctl("list-units", "--plain", "--no-legend", f"--state={states}", pattern)
    return {line.split()[0] for line in out.splitlines() if line.strip()}


def loaded(host: Host, units: Sequence[str], *, since: float) -> None:
    """See that systemd can use the files of `units`, before anybody depends on it.

    Failed with what it has said `since` (seconds since 1970): somebody's file beside ours may have made one unusable.
    """
    told = host.systemctl("show", "-P", "LoadState", *units).split() if units else []
    wrong = {unit: state for unit, state in zip(units, told) if state != "loaded"}
    if wrong:
        raise Failed(
            f"systemd cannot use {', '.join(f'{unit} ({state})' for unit, state in wrong.items())}",
            evidence=[line for unit in wrong for line in host.logs(unit, since=since)],
            hint=f"`systemctl cat {next(iter(wrong))}` on the host shows what is made of it",
        )


def start(host: Host, units: Sequence[str], *, since: float, wait: bool = True) -> None:
    """Start `units`; Failed with what they have logged `since`, or what systemd says where they have logged nothing.

    It refuses to start what it cannot load, also what runs already, from before its file was broken.
    """
    try:
        host.systemctl("start", *([] if wait else ["--no-block"]), *units)
    except Failed as failed:
        if running(host).issuperset(units):
            return
        logged = [line for unit in units for line in host.logs(unit, since=since)]
        raise Failed(f"{', '.join(units)} could not be started", evidence=logged or failed.evidence) from None


def stop(host: Host, units: Sequence[str], *, timeout: float) -> None:
    """Stop `units`; Failed where one is at work afterwards.

    systemd refuses to stop what it has not loaded, and a file may have been broken or removed by anybody, or by an
    earlier run. Nothing of it runs then, which is all that is wanted.
    """
    try:
        host.systemctl("stop", *units, timeout=timeout)
    except Failed:
        if not at_work(host).isdisjoint(units):
            raise


def stop_matching(host: Host, pattern: str) -> None:
    """Stop the units of whatever name `pattern` matches; Failed where one is at work afterwards.

    A timer may elapse, and a service end, between the moment at which systemctl looks which there are and that at which
    it stops them. It refuses then, and goes on with the others.
    """
    try:
        host.systemctl("stop", pattern)
    except Failed:
        if _matching(host, AT_WORK, pattern):
            raise
