"""The app hosts that an entry sends clients to, as the last switch told it: by them it knows who does not answer.

nginx leaves out by itself who does not answer, and says so to nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import fencing, probe
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, read_json

WAY = "way to "
AT_ONCE = 8


def keep(host: Host, told: Mapping[str, Mapping[str, Any]]) -> None:
    """Write down who serves each slot that is told of, or its baseline: members (addresses by host), and health.

    That is the health as the application has it described.
    """
    path = host.site.state / "members.json"
    slots = {**read_json(path).get("slots", {}), **told}
    host.write_json(path, {"format": 1, "slots": slots})


def resize(host: Host, count: int) -> None:
    """Write down that `count` processes of each host serve."""
    from ansible_collections.ferryman.ops.plugins.module_utils import nginx_members  # few runs have a use

    path = host.site.state / "members.json"
    known = read_json(path)
    for told in known.get("slots", {}).values():
        told["members"] = {name: nginx_members.addresses(each, count) for name, each in told["members"].items()}
    if known:
        host.write_json(path, known)


def listens(host: Host, slot: str, *, away: Collection[str] = ()) -> list[str]:
    """Return the address of each process that serves `slot`, on whatever host; none where nobody has told them.

    None of a host that is fenced off, either, or is `away`: it serves nobody.
    """
    there = (addresses for name, addresses in _serving(host, slot).items() if name not in away)
    return [address for addresses in there for address in addresses]


def ways(host: Host, slot: str) -> dict[str, dict[str, Any]]:
    """Ask each app host of `slot` from here, each process on its own port; return the answers by name.

    One that is fenced off gets no clients, whatever it answers.
    """
    health = _told(host, slot).get("health") or {}
    each = [(name, address) for name, addresses in _serving(host, slot).items() for address in addresses]
    if not each:
        return {}
    from concurrent.futures import ThreadPoolExecutor  # takes time, and few sessions ask several hosts

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda one: _asked(one[1], health), each))
    found: dict[str, dict[str, Any]] = {}
    for (name, _), (good, said) in zip(each, answers):  # of equal length
        before = found.get(f"{WAY}{name}")
        if before is None or before["good"]:
            found[f"{WAY}{name}"] = {"good": good, "said": said}
    return found


def _told(host: Host, slot: str) -> dict[str, Any]:
    return dict(read_json(host.site.state / "members.json").get("slots", {}).get(slot, {}))


def _serving(host: Host, slot: str) -> dict[str, list[str]]:
    """Return the addresses of those who serve `slot` by the names of their hosts, but for those fenced off."""
    fenced = fencing.fences(host)
    return {name: each for name, each in _told(host, slot).get("members", {}).items() if name not in fenced}


def _asked(address: str, health: Mapping[str, Any]) -> tuple[bool, str]:
    where, _, port = address.rpartition(":")
    if not health.get("path"):
        return probe.listens(where.strip("[]"), int(port))
    status, timeout_s = int(health["status"]), float(health["timeout_s"])
    return probe.ask(where.strip("[]"), int(port), str(health["path"]), status=status, timeout_s=timeout_s)
