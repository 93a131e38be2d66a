"""The two slots of a site on this host: what runs in them, from start through gate to stop."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, render, sizes, systemd
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    LOG_LINES,
    Failed,
    Host,
    Unwell,
    read_json,
    utc,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import UNITS


class Instance(NamedTuple):
    """One process of a release in a slot.

    `unit` empty where nginx itself serves, `number` from 1, `port` 0 where it serves none; it listens on `address`.
    """

    unit: str
    name: str
    process: Mapping[str, Any]
    number: int
    port: int
    address: str = "127.0.0.1"

    @property
    def kind(self) -> str:
        """Its kind: web, worker or cron."""
        return str(self.process["kind"])


def record(host: Host, slot: str) -> dict[str, Any]:
    """Return the release record of what a slot holds; empty for an empty slot."""
    return read_json(host.site.slot(slot) / "release.json")


def holds(host: Host, slot: str) -> str:
    """Return the id of the release that a slot holds, or nothing."""
    with suppress(OSError):
        return Path(os.readlink(host.site.slot(slot))).name
    return ""


def since(host: Host, slot: str) -> str:
    """Return when a slot got what it holds, as RFC 3339 with microseconds: whose lines are whose in the logs."""
    at = _changed(host, slot)
    return f"{utc(at // 1_000_000)[:-1]}.{at % 1_000_000:06d}Z" if at else ""


def _changed(host: Host, slot: str) -> int:
    with suppress(OSError):
        return os.lstat(host.site.slot(slot)).st_mtime_ns // 1000
    return 0


def began(host: Host, slot: str) -> float:
    """Return from when on (seconds since 1970) a slot's log tells of the processes that it runs now.

    What it ran before has the same units. The same release may have been started anew, which leaves the slot as it is.
    """
    return max(_changed(host, slot) / 1_000_000, host.started.get(slot, 0.0))


def logs(host: Host, slot: str, unit: str, *, lines: int = LOG_LINES) -> list[str]:
    """Return the last log lines of a unit of `slot`, as Host.logs does, since it began."""
    return host.logs(unit, since=began(host, slot), lines=lines)


def scaled(host: Host) -> dict[str, Any]:
    """Return what is scaled on this host, by process."""
    return dict(read_json(host.site.sizes).get("sizes", {}))


def instances(host: Host, slot: str, release: Mapping[str, Any], scale: sizes.Sizes | None = None) -> list[Instance]:
    """Return every instance that `release` has in `slot`, with the ports that this host gave out.

    As many as this host has them scaled, where it is not said how many (`scale`).
    """
    given_out = read_json(host.site.settings / "ports.json")
    return counted(host.site, slot, release, given_out, scaled(host) if scale is None else scale)


def counted(
    site: names.Site, slot: str, release: Mapping[str, Any], given_out: Mapping[str, Any], scale: sizes.Sizes
) -> list[Instance]:
    """Return every instance that `release` has in `slot` of a host that has `given_out` (its ports.json) these ports.

    As many as are declared, or `scale` has. Failed (refused) where ports are too few.
    """
    ports, address = given_out.get("ports", {}), str(given_out.get("address", "127.0.0.1"))
    found = []
    for name, process in release.get("processes", {}).items():
        if process["kind"] == "once":
            continue
        count = sizes.count(name, process, scale)
        given = ports.get(name, {}).get(slot, [])
        if process["kind"] == "web" and len(given) < count:
            raise Failed(
                f"process {name} wants {count} instances, this host has {len(given)} ports for it",
                hint="`provision` gives out ports",
                refused=True,
            )
        for number in range(1, count + 1):
            port = given[number - 1] if process["kind"] == "web" else 0
            # A static site has no process of its own: nginx serves its slots on their ports.
            unit = site.unit(name, slot, number) if process.get("command") else ""
            found.append(Instance(unit, name, process, number, port, address))
    return found


def cooling(host: Host, slot: str) -> str:
    """Return what the names of the units begin with that stop a slot later."""
    return f"ferryman-cool:{host.site.name}:{slot}:"


def unit_files(host: Host, slot: str) -> list[Path]:
    """Return the units that lie on this host for a slot."""
    return [path for path in sorted(UNITS.glob(f"{host.site.name}-*@{slot}-*")) if _is_of(host, slot, path.name)]


def _is_of(host: Host, slot: str, unit: str) -> bool:
    return bool(re.fullmatch(rf"{re.escape(host.site.name)}-[a-z0-9]+@{slot}-\d+\.(service|timer)", unit))


def known(host: Host, slot: str) -> set[str]:
    """Return the units of a slot that lie on this host, or are at work without a file."""
    return {path.name for path in unit_files(host, slot)} | {
        unit for unit in systemd.at_work(host) if _is_of(host, slot, unit)
    }


def start(
    host: Host,
    slot: str,
    name: str,
    *,
    fresh: bool = False,
    overlap: bool = True,
    kinds: Collection[str] = names.KINDS,
) -> None:
    """Make `slot` run `name`: web processes now, and workers that may overlap; whatever it ran before is stopped.

    A slot that is still warm with `name` is left as it is, unless `fresh` asks for new processes (new secrets). Without
    `overlap` no worker is started, and nothing is placed but processes of `kinds`.
    """
    release = read_json(host.site.release(name) / "release.json")
    if host.check and not release:  # it would have been staged by now
        host.changes.append(f"slot {slot}: {name}")
        return
    if not release:
        raise Failed(f"{name} is not on this host", refused=True)
    wanted = [each for each in instances(host, slot, release) if each.kind in kinds]
    if host.check:
        host.changes += [f"{instance.unit} started" for instance in wanted]
        return
    host.journal("start", "started", release=name, slot=slot)
    systemd.stop_matching(host, f"{cooling(host, slot)}*.timer")
    webs = {i.unit for i in wanted if i.kind == "web" and i.unit}
    warm = holds(host, slot) == name and not fresh and systemd.running(host).issuperset(webs)
    if not warm:
        stop(host, slot)
        host.link(host.site.slot(slot), f"../releases/{name}")
        host.started[slot] = time.time()
    wanted = [i for i in wanted if i.unit]
    place(host, slot, wanted, render.all_secrets(release["manifest"]["description"]))
    if warm:
        return
    units = [i.unit for i in wanted if i.kind == "web" or (overlap and _overlaps(i))]
    if units:
        try:
            systemd.start(host, units, since=began(host, slot))
        except Failed as failed:
            raise Unwell(str(failed), evidence=failed.evidence) from None
    host.changes.append(f"slot {slot}: {name}")


def _overlaps(instance: Instance) -> bool:
    return instance.kind == "worker" and bool(instance.process.get("overlap"))


def units(site: names.Site, slot: str, wanted: list[Instance], secrets: list[str]) -> dict[str, str]:
    """Return the text of every unit that runs `wanted`, by its name."""
    texts = {
        i.unit: render.unit(
            site, i.name, i.process, slot=slot, number=i.number, listen=(i.address, i.port), secrets=secrets
        )
        for i in wanted
    }
    for i in wanted:
        if i.kind == "cron":
            texts[site.unit(i.name, slot, kind="timer")] = render.timer(site, i.name, i.process, slot=slot)
    return texts


def place(host: Host, slot: str, wanted: list[Instance], secrets: list[str], *, beside: bool = False) -> None:
    """Have systemd know the units of what is `wanted` in a slot, and of nothing else, unless they lie `beside` others.

    Failed where it cannot use one.
    """
    began_s = time.time()
    texts = {UNITS / name: text for name, text in units(host.site, slot, wanted, secrets).items()}
    stale = [] if beside else [path for path in unit_files(host, slot) if path not in texts]
    changed = [host.write(path, text) for path, text in texts.items()] + [host.remove(path) for path in stale]
    # Asked of systemd, too: a session may have ended between a write and its reload.
    if any(changed) or "yes" in host.systemctl("show", "-P", "NeedDaemonReload", *(path.name for path in texts)):
        host.systemctl("daemon-reload")
    # Here, since a timer is started only after clients were moved.
    systemd.loaded(host, [path.name for path in texts], since=began_s)


def stop(host: Host, slot: str, *, jobs: bool = False) -> None:
    """Stop whatever runs in `slot`, but for a cron job in the middle of its work; with `jobs` that as well."""
    if host.check:
        return
    units_here = known(host, slot)
    units = sorted(
        name
        for name in units_here
        if jobs or name.endswith(".timer") or f"{name[: -len('.service')]}.timer" not in units_here
    )
    if units:
        systemd.stop(host, units, timeout=180)
        with suppress(Failed):  # a unit that systemd has forgotten has nothing to reset
            host.systemctl("reset-failed", *units)


# Workers and timers: with the slot that serves, never in both


def _background(host: Host, slot: str) -> Iterator[str]:
    for instance in instances(host, slot, record(host, slot)):
        if instance.kind == "worker":
            yield instance.unit
        elif instance.kind == "cron":
            yield host.site.unit(instance.name, slot, kind="timer")


def has_background(host: Host, slot: str) -> bool:
    """Say whether there are workers or timers to be moved to `slot`, in either slot."""
    return any([*_background(host, slot), *_background(host, names.other(slot))])


def moving_takes(host: Host, slot: str) -> float:
    """Return how many seconds the workers of the other slot may take to stop; 0 where there is nothing to move."""
    other = names.other(slot)
    stopping = [float(i.process.get("stop_timeout_s") or 30) for i in instances(host, other, record(host, other))]
    return max(stopping, default=0.0) if has_background(host, slot) else 0.0


def move_workers(
    host: Host, slot: str, *, alive_s: float, wait: bool = True, pause: Callable[[float], None] | None = None
) -> None:
    """Stop workers and timers of the other slot, start those of `slot`, and see that they still run after `alive_s`.

    Without `wait` they are only told to start: at boot, where waiting for what waits for us would stop both. `pause`
    is how time passes, else as for whoever may be asked to stop.
    """
    new = list(_background(host, slot))
    old = list(_background(host, names.other(slot)))
    host.changes += [f"{unit} started" for unit in new]
    if host.check or not (old or new):
        return
    if old:
        systemd.stop(host, old, timeout=moving_takes(host, slot) + 30)
    if not new:
        return
    started = time.time()
    systemd.start(host, new, since=started, wait=wait)
    services = [unit for unit in new if unit.endswith(".service")]
    if services and alive_s:
        stay_up(host, services, alive_s, since=started, pause=pause)


def stay_up(
    host: Host, units: list[str], alive_s: float, *, since: float, pause: Callable[[float], None] | None = None
) -> None:
    """See that `units`, which were started just now, run for `alive_s` seconds; Unwell with what they logged `since`.

    `pause` is how time passes, else as for whoever may be asked to stop.
    """
    before = {unit: _restarts(host, unit) for unit in units}
    (pause or host.wait)(alive_s)
    alive = systemd.running(host)
    for unit in before:
        if unit not in alive or _restarts(host, unit) != before[unit]:
            raise Unwell(f"{unit} did not stay up for {alive_s:g} s", evidence=host.logs(unit, since=since))


def _restarts(host: Host, unit: str) -> int:
    return int(host.systemctl("show", "-P", "NRestarts", unit).strip() or 0)


def rest(host: Host) -> None:
    """Let this host run nothing of the site, now and after a boot: what it has was overtaken while it was away."""
    for slot in names.SLOTS:
        stop(host, slot, jobs=True)
    enable(host, "")


def bring_up(host: Host, slot: str) -> None:
    """Tell the web processes of `slot` to start, without waiting for them."""
    units = [i.unit for i in instances(host, slot, record(host, slot)) if i.kind == "web" and i.unit]
    if units:
        host.systemctl("start", "--no-block", *units)


def enable(host: Host, slot: str, *, background: bool = True) -> None:
    """Make the units of `slot`, and of no other, come up with the host; of none where it is empty.

    Without `background` workers and timers are left to who starts them then.
    """
    for every in names.SLOTS:
        found = instances(host, every, record(host, every)) if every == slot else []
        units = [i.unit for i in found if i.kind == "web" and i.unit]
        units += _background(host, slot) if found and background else []
        wanted = set(units) if every == slot else set()
        for directory in (UNITS / "multi-user.target.wants", UNITS / "timers.target.wants"):
            kind = ".timer" if directory.name.startswith("timers") else ".service"
            present = {
                path.name
                for path in directory.glob(f"{host.site.name}-*@{every}-*")
                if path.name in {f.name for f in unit_files(host, every)}
            }
            for unit in sorted(wanted):
                if unit.endswith(kind):
                    host.link(directory / unit, f"{UNITS}/{unit}")
            for unit in sorted(present - wanted):
                host.remove(directory / unit)
