"""A run that goes on without whoever began it: its driver, as a unit of the arbiter (docs/decisions/0027-detached.md).

The driver is Ansible in an environment of its own, which the wheels that travelled are installed into. What it works
with lies on disk and is no secret; what it is told, secrets among it, systemd reads from this process's memory and
gives to that unit alone, as a credential.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from ansible_collections.ferryman.ops.plugins.module_utils.release import names, reaching
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, alone, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtimes import python

OLDEST = (3, 11)
"""What the toolkit runs on; everything else on a host is content with an older Python."""
ENVIRONMENTS, TOOLKITS, RUNS = (names.DRIVER / kind for kind in ("environments", "toolkits", "runs"))
WHOLE = ".whole"
EVENTS = "events.jsonl"
KNOWN = "known_hosts"
SETTINGS = """\
[defaults]
collections_path = {collections}
stdout_callback = ferryman.ops.release_events
forks = {forks}
timeout = 20
[connection]
pipelining = true
[ssh_connection]
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=15 -o ServerAliveCountMax=4
control_path_dir = /run/{unit}
retries = 1
"""
"""Of Ansible there; what the host has of its own is not for it."""
LINES_BYTES = 1 << 20  # of what is told, in one answer
LOOKS_S = 0.2
GONE = ("inactive", "failed", "")


def able(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this host has already that a driver needs, and what it must fit; Failed where it can't drive.

    Where it is to drive `others`, too (addresses by host), it makes itself the key to them.
    """
    if sys.version_info[:2] < OLDEST:
        mine, wanted = (".".join(map(str, version)) for version in (sys.version_info[:2], OLDEST))
        reason = f"its Python is {mine}, and who drives a deploy here needs {wanted}"
        raise Failed(reason, hint="leave out --detach, or upgrade the host", refused=True)
    try:
        program.pip("")
    except program.NotInstalled:
        reason = "it lacks python3-venv, which who drives a deploy here is installed by"
        raise Failed(
            reason, hint="install it there: `apt-get install python3-venv`; or leave out --detach", refused=True
        ) from None
    ways = reaching.prepare(host, request["others"]) if request.get("others") else {}
    return {"tools": python.tools(), "environments": _whole(ENVIRONMENTS), "toolkits": _whole(TOOLKITS), **ways}


def _whole(place: Path) -> list[str]:
    return sorted(path.parent.name for path in place.glob(f"*/{WHOLE}"))


def unit_of(site: str) -> str:
    """Return the name of the unit that drives a run of a site."""
    return f"ferryman-drive-{site}.service"


def hand_over(host: Host, request: Mapping[str, Any], body: IO[bytes]) -> dict[str, Any]:
    """Take over the run that asks: unpack what its driver needs, and start it.

    `request["drive"]`: environment and toolkit (their keys), sums (SHA-256 of each wheel), values (what the driver is
    told, as YAML), ways (to the other hosts, as reaching.known has them), forks (how many it works on at once).
    """
    told, unit, place = request["drive"], unit_of(host.site.name), RUNS / host.site.name / host.run_id
    if host.check:
        return {"handed_over": {"unit": unit}}
    with reaching.handed_on(host):
        reaching.require(host, request, told["ways"])
        with suppress(Failed):  # one whose lock was broken can do nothing any more
            host.systemctl("stop", unit)
        names.DRIVER.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(names.DRIVER / "flock"):  # another application's run may be handed over to this host just now
            _take_in(host, place, told, body)
        (place / KNOWN).write_text(reaching.known(told["ways"]), encoding="ascii")
        _start(host, unit, place, told)
    host.journal("hand_over", "done")
    return {"handed_over": {"unit": unit}}


def _take_in(host: Host, place: Path, told: Mapping[str, Any], body: IO[bytes]) -> None:
    """Put everything where the driver finds it, and remove what no run needs any more."""
    shutil.rmtree(place.parent, ignore_errors=True)
    incoming = place / "incoming"
    incoming.mkdir(parents=True)
    _unpack(incoming, body, told["sums"])
    _install(host, ENVIRONMENTS / told["environment"], incoming / "wheels")
    _move_in(TOOLKITS / told["toolkit"], incoming / "toolkit")
    for path in sorted((incoming / "run").iterdir()):
        path.rename(place / path.name)
    shutil.rmtree(incoming)
    (place / "needs.json").write_text(json.dumps({key: told[key] for key in ("environment", "toolkit")}))
    _forget()


def _unpack(place: Path, body: IO[bytes], sums: Mapping[str, str]) -> None:
    with tarfile.open(fileobj=body, mode="r|*") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            path = place / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                shutil.copyfileobj(content, stream)
            kind, _, name = member.name.partition("/")
            if kind == "wheels" and hashlib.sha256(path.read_bytes()).hexdigest() != sums.get(name):
                raise Failed(f"{name} arrived damaged", hint="run the command again")


def _install(host: Host, place: Path, wheels: Path) -> None:
    """Make the driver's environment, where it is not there; one that was cut off is made anew."""
    if room(place, wheels):
        python.install(host, place, sorted(wheels.glob("*.whl")))
        (place / WHOLE).touch()


def _move_in(place: Path, fresh: Path) -> None:
    """Put the toolkit in its place, where it is not there."""
    if room(place, fresh):
        fresh.rename(place)
        (place / WHOLE).touch()


def room(place: Path, sent: Path) -> bool:
    """Make room for what was sent; say False where it is there already, and whole. Failed where it is neither here nor
    there."""
    if (place / WHOLE).exists():
        return False
    if not sent.exists():  # it was here when this run asked, and another one's end has taken it away
        raise Failed(f"{place.name} of {place.parent} has just been removed", hint="run the command again")
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    return True


def _forget() -> None:
    """Remove environments and toolkits that no run here has needed last."""
    needed = [read_json(path) for path in RUNS.glob("*/*/needs.json")]
    for store, key in ((ENVIRONMENTS, "environment"), (TOOLKITS, "toolkit")):
        for path in store.iterdir():
            if path.name not in {each.get(key) for each in needed}:
                shutil.rmtree(path, ignore_errors=True)


def _start(host: Host, unit: str, place: Path, told: Mapping[str, Any]) -> None:
    way, settings = Path("/run") / f"{unit}.sock", place / "ansible.cfg"
    collections, forks = TOOLKITS / told["toolkit"], int(told["forks"])
    settings.write_text(SETTINGS.format(collections=collections, unit=unit, forks=forks), encoding="ascii")
    key = [f"--property=LoadCredential=key:{reaching.key_of(host)}"] if told["ways"] else []
    with _told_to(way, str(told["values"]).encode()):
        host.command(
            *("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--service-type=exec"),
            f"--description=Drives run {host.run_id} of {host.site.name}",
            *(*key, f"--property=LoadCredential=values:{way}", f"--property=StandardOutput=append:{place / EVENTS}"),
            *(f"--property=WorkingDirectory={place}", "--property=UMask=0022"),
            *(f"--property=RuntimeDirectory={unit}", "--property=RuntimeDirectoryMode=0700"),
            *("--property=StandardError=journal", f"--setenv=HOME={place}", f"--setenv=ANSIBLE_CONFIG={settings}"),
            *(str(ENVIRONMENTS / told["environment"] / "bin/ansible-playbook"), "--inventory=hosts.yml"),
            *(f"--extra-vars=@/run/credentials/{unit}/values", "ferryman.ops.release_drive"),
        )


@contextmanager
def _told_to(path: Path, content: bytes) -> Iterator[None]:
    """Answer whoever connects to a socket with `content`; root alone can, and nothing of it is in a file."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen()

        def serve() -> None:
            with suppress(OSError):  # it is closed below, once systemd has read
                while True:
                    asking, _ = listener.accept()
                    with asking:
                        asking.sendall(content)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def follow(host: Host, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver of the last run that was handed over told from byte `at` on, as whole lines.

    Waits for some up to `for_s`. `over` says that no more will come; then `log` has what the driver said beside.
    """
    place = next(iter(sorted((RUNS / host.site.name).glob("*"))), None)
    if place is None:
        raise Failed("no deploy was handed over to this host", hint="`deploy --detach` hands one over", refused=True)
    if request["of"] not in ("", place.name):
        reason = f"{request['of']} was followed, and another run was handed over since"
        raise Failed(reason, hint="`attach` follows that one, `releases` tells how the other ended", refused=True)
    if not (place / EVENTS).exists():
        reason = f"{place.name} is being handed over just now, or that was broken off"
        raise Failed(reason, hint="`attach` again once it has begun; `status` says who drives", refused=True)
    at, until = int(request["at"]), time.monotonic() + float(request["for_s"])
    while True:
        over = host.systemctl("show", "--property=ActiveState", "--value", unit_of(host.site.name)).strip() in GONE
        lines, end = lines_of(place / EVENTS, at)
        if lines or over or time.monotonic() > until:
            over = over and not lines
            log = host.logs(unit_of(host.site.name), since=place.stat().st_ctime, lines=12) if over else []
            return {"of": place.name, "at": end, "lines": lines, "over": over, "log": log}
        time.sleep(LOOKS_S)


def lines_of(path: Path, at: int) -> tuple[list[str], int]:
    """Return the whole lines of a file from a byte on, and the byte that they end before."""
    try:
        with path.open("rb") as stream:
            stream.seek(at)
            text = stream.read(LINES_BYTES)
            whole, end, _ = (text if b"\n" in text else text + stream.read()).rpartition(b"\n")
    except FileNotFoundError:
        return [], at
    return whole.decode(errors="replace").splitlines(), at + len(whole) + len(end)
