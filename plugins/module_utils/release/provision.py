"""What a host must have before anything can be deployed to it: account, directories, ports, and the guard."""

from __future__ import annotations

import base64
import io
import os
import pwd
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names, shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json

PYZ = names.LIBRARY / "host.pyz"
OLD_S = 24 * 3600  # a run of another version may still be on its way
GUARD = f"/usr/bin/python3 -I {PYZ} guard"
BOOT_UNIT = "ferryman-boot.service"
GUARD_UNITS = {
    # Started by each switch before it moves anybody. It ends when nothing is pending; what came in at that very moment
    # starts it again.
    "ferryman-guard.service": f"""\
[Unit]
Description=Ferryman: sends clients back to the stable release when a shift is not confirmed in time
ConditionDirectoryNotEmpty=/var/lib/ferryman/pending
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={GUARD}
Restart=always
RestartSec=1
# It comes and goes with every deploy, and systemd's words of that look like trouble in the logs; its own are.
LogLevelMax=notice
SyslogLevel=warning
""",
    BOOT_UNIT: f"""\
[Unit]
Description=Ferryman: what the host serves after a boot
Before=nginx.service
After=local-fs.target

[Service]
Type=oneshot
ExecStart={GUARD} --boot

[Install]
WantedBy=multi-user.target
""",
}


def give_ports(
    taken: Sequence[int],
    have: Mapping[str, Mapping[str, Sequence[int]]],
    processes: Sequence[str],
    *,
    places: Sequence[str] = names.SLOTS,
) -> dict[str, dict[str, list[int]]]:
    """Return the ports of each of `processes` in its `places`: those it has already, else the first free block.

    Raises Failed when none is left.
    """
    given = {name: {slot: list(ports) for slot, ports in slots.items()} for name, slots in have.items()}
    used = set(taken) | {port for slots in given.values() for ports in slots.values() for port in ports}
    for name in processes:
        for slot in places:
            if slot in given.setdefault(name, {}):
                continue
            block = next(
                (
                    list(range(first, first + names.PORTS_PER_PROCESS))
                    for first in range(names.PORTS.start, names.PORTS.stop, names.PORTS_PER_PROCESS)
                    if not used.intersection(range(first, first + names.PORTS_PER_PROCESS))
                ),
                None,
            )
            if block is None:
                raise Failed("no block of ten ports is free between 20000 and 29999", refused=True)
            used.update(block)
            given[name][slot] = block
    return given


def provision(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Bring the host to where releases can be staged.

    `request`: processes (names of the web processes), baseline (whether they have ports for one), address (where they
    listen), rehearsal (how a release is asked where no driver is: domain, times, whether steps may write), packed (this
    code, base64) and its version.
    """
    site, roles = host.site, request["roles"]
    _account(host)
    for path in (names.LIBRARY, names.CODE, names.PENDING, names.SITES, site.state, site.settings):
        host.directory(path)
    packed = base64.b64decode(request["packed"])
    leave_code(host, packed, version=str(request["version"]))
    _guard(host, packed)
    ports: dict[str, Any] = {}
    if "app" in roles:
        for path in (
            site.root,
            site.root / "releases",
            site.root / "slots",
            site.root / "shared",
            site.root / "environments",
        ):
            host.directory(path)
        have = read_json(site.settings / "ports.json").get("ports", {})
        places = (*names.SLOTS, names.BASELINE) if request.get("baseline") else names.SLOTS
        ports = give_ports(_taken(host), have, request["processes"], places=places)
        host.write_json(site.settings / "ports.json", {"format": 1, "address": request["address"], "ports": ports})
        host.write_json(site.settings / "rehearsal.json", {"format": 1, **request["rehearsal"]})
    if "entry" in roles and not (site.state / "share").is_symlink():
        shift.set_share(host, 0)
    if "arbiter" in roles:
        host.directory(site.arbiter, mode=0o700)
    return {"ports": ports}


def _account(host: Host) -> None:
    try:
        pwd.getpwnam(host.site.account)
    except KeyError:
        host.changes.append(f"account {host.site.account}")
        if not host.check:
            words = (
                "useradd",
                "--system",
                "--user-group",
                "--no-create-home",
                "--home-dir",
                str(host.site.root),
                "--shell",
                "/usr/sbin/nologin",
            )
            host.command(*words, host.site.account)


def _taken(host: Host) -> list[int]:
    """Ports that other sites of this host were given."""
    taken: list[int] = []
    for path in host.site.settings.parent.glob("*/ports.json"):
        if path.parent != host.site.settings:
            taken += [
                port
                for slots in read_json(path).get("ports", {}).values()
                for ports in slots.values()
                for port in ports
            ]
    return taken


def leave_code(host: Host, packed: bytes, *, version: str) -> None:
    """Leave the code unpacked and compiled, so that no request need bring it; what no run can use any more goes."""
    import compileall  # with what they import, a tenth of the time that any other request takes
    import zipfile

    place = names.CODE / version
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    if not all(_holds(place / name, text) for name, text in texts.items()):
        host.changes.append(f"{place}/")
        if not host.check:
            fresh = place.with_name(f".{version}.{os.getpid()}")
            for name, text in texts.items():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                (fresh / name).write_bytes(text)
            compileall.compile_dir(fresh, quiet=2)
            os.sync()  # its name says that it is whole, also after a loss of power
            if place.exists():
                place.rename(place.with_name(f".{version}.{os.getpid()}.old"))
            fresh.rename(place)
    elif not host.check:
        os.utime(place)  # it is in use
    for old in names.CODE.iterdir() if names.CODE.is_dir() else ():
        if old != place and time.time() - old.stat().st_mtime > OLD_S:
            host.remove(old)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _guard(host: Host, packed: bytes) -> None:
    if not _holds(PYZ, packed):
        host.changes.append(str(PYZ))
        if not host.check:
            fresh = PYZ.with_name(".host.pyz.new")
            with fresh.open("wb") as stream:  # an empty one would run, too, and guard nothing
                stream.write(packed)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.rename(PYZ)
    for name, text in GUARD_UNITS.items():
        host.write(names.UNITS / name, text)
    _make_known(host)


def _make_known(host: Host) -> None:
    """Have systemd know the guard's units as they lie there.

    It is asked, since what was written is no answer: a run may have ended between that and this.
    """
    shown = host.systemctl("show", "--property=NeedDaemonReload", *GUARD_UNITS)
    if "NeedDaemonReload=yes" in shown:
        host.changes.append("systemd reads its units")
        if not host.check:
            host.systemctl("daemon-reload")
    enabled = ""
    with suppress(Failed):  # the exit code says that it is not, as the word does
        enabled = host.systemctl("is-enabled", BOOT_UNIT).strip()
    if enabled != "enabled":
        host.changes.append(f"{BOOT_UNIT} enabled")
        if not host.check:
            host.systemctl("enable", "--quiet", BOOT_UNIT)
