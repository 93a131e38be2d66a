"""How many instances of a process run: as it is declared, until somebody scales it.

Pure functions; what was scaled is by process {instances, since, who, run}, the same on every host and in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names

KINDS = ("web", "worker")
"""What may have several instances; a timer starts one at a time."""
DECLARED = "declared"
"""The word for a count that gives a process back to what is declared."""
Process = Mapping[str, Any]
Sizes = Mapping[str, Mapping[str, Any]]


def can_be_scaled(process: Process) -> bool:
    """Say whether a process can have more instances or fewer: one of files alone is nginx itself."""
    return process["kind"] in KINDS and bool(process.get("command"))


def count(name: str, process: Process, sizes: Sizes) -> int:
    """Return how many instances of a process run on a host."""
    if process["kind"] not in KINDS:
        return 1
    declared = int(process.get("instances") or 1)
    return int(sizes[name]["instances"]) if name in sizes and can_be_scaled(process) else declared


def bounds(process: Process) -> tuple[int, int]:
    """Return the least and the greatest count that is declared; a release from before there were any has the widest."""
    return int(process.get("instances_min") or 1), int(process.get("instances_max") or names.PORTS_PER_PROCESS)


def outside(known: Mapping[str, tuple[int, int]], counts: Mapping[str, int]) -> Iterator[str]:
    """Say of each count why it cannot be: `known` are the bounds of what can be scaled, by process."""
    for name, wanted in counts.items():
        if name not in known:
            yield f"{name!r} is no process that can be scaled ({', '.join(known) or 'there is none'})"
        elif not known[name][0] <= wanted <= known[name][1]:
            least, most = known[name]
            yield f"{name}={wanted} is out of bounds: at least {least} (instances_min), at most {most} (instances_max)"


def after(before: Sizes, wanted: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is scaled once the `wanted` counts are so; DECLARED ends it.

    `told` is who says so, since when, in which run; who had said the same before stays the one.
    """
    sizes = {name: dict(size) for name, size in before.items()}
    for name, instances in wanted.items():
        if instances == DECLARED:
            sizes.pop(name, None)
        elif name not in sizes or sizes[name]["instances"] != instances:
            sizes[name] = {"instances": int(instances), **told}
    return sizes


def misread(wanted: Mapping[str, Any]) -> Iterator[str]:
    """Say of what is wanted which is no count: a playbook may be told anything."""
    for name, said in wanted.items():
        if said != DECLARED and not str(said).isdecimal():
            yield f"{name}={said} is no count: a number, or the word {DECLARED}"


def counted(known: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Any]) -> dict[str, int]:
    """Return the `wanted` counts as numbers, without what is none; `known` says what of each process is declared."""
    return {
        name: int(known[name]["declared"] if name in known else 1) if said == DECLARED else int(said)
        for name, said in wanted.items()
        if said == DECLARED or str(said).isdecimal()
    }


def ways(
    known: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Any],
    before: Mapping[str, Any],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what hosts are told that go to the `wanted` counts (there), and back to what the ledger has (back).

    `known` is of each process its kind and what is declared, `before` and `after` are as `last` says. `servers` is to
    how many an entry sends clients, 0 where that stays; it is `kept` for provisioning unless it is what is declared.
    """
    counts = counted(known, wanted)
    web = next((name for name in counts if known[name]["kind"] == "web"), "")
    scaled, old = after(before["sizes"], wanted, told), int(before["servers"])
    kept = web in scaled
    return {
        "counts": counts,
        "there": {"sizes": scaled, "servers": counts.get(web, 0), "kept": kept},
        "back": {
            "sizes": before["sizes"],
            "servers": (old or int(known[web]["declared"])) if web else 0,
            "kept": bool(old),
        },
        "after": {"sizes": scaled, "servers": (counts[web] if kept else 0) if web else old},
    }


def lines(told: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the ledger is to say once hosts went there, and where they went back: only the first is a size.

    `told` is release, who, instances and was; `after` is as `last` says.
    """
    changes = ", ".join(f"{name} from {told['was'][name]} to {count}" for name, count in told["instances"].items())
    same = {"event": "scale", **told}
    return {
        "there": {**same, **after, "reason": changes},
        "back": {**same, "reason": f"{changes}; it came to nothing"},
    }


def larger(processes: Mapping[str, Process], one: Sizes, other: Sizes) -> dict[str, Mapping[str, Any]]:
    """Return of two ways in which processes are scaled the one for each that has more instances.

    So none that runs as either says is missing.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name, process in processes.items():
        most = one if count(name, process, one) >= count(name, process, other) else other
        if name in most:
            found[name] = most[name]
    return found


def told(sizes: Sizes) -> dict[str, int]:
    """Return how many instances there are by process, of what is scaled."""
    return {name: int(size["instances"]) for name, size in sorted(sizes.items())}


def words(counts: Mapping[str, Any]) -> str:
    """Return counts as they are typed."""
    return " ".join(f"{name}={instances}" for name, instances in counts.items())


def last(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the last line of a ledger says that tells of scaling which was done: sizes, servers.

    Empty where there is none.
    """
    for line in reversed([*lines]):
        if line.get("event") == "scale" and "sizes" in line:
            return {"sizes": dict(line["sizes"]), "servers": int(line["servers"])}
    return {}
