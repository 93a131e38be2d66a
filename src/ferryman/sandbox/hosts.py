"""Up, down and list: the hosts of one sandbox as they should be, whatever an interrupted run left."""

import ipaddress
import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ferryman.errors import NEEDS_PERSON, RETURNED, Stop
from ferryman.sandbox import access, acme, command, image, room
from ferryman.sandbox.image import Say
from ferryman.sandbox.lock import locked
from ferryman.sandbox.model import Host, Sandbox
from ferryman.sandbox.probing import Engine, has_ipv6, probe

READY = "ready.json"
ADDRESSES = "addresses.json"
BOOT_S = 60
GONE_S = 120
WAITS = "`ps -eo pid,stat,wchan:30,args` says what a process that does not die waits for"


def found(engine: Engine, sandbox: str) -> dict[str, dict[str, Any]]:
    """Return what the engine says about every container of the sandbox: host name -> its description."""
    names = engine.run("ps", "--all", "--quiet", "--filter", f"label={command.SANDBOX}={sandbox}").split()
    if not names:
        return {}
    # One that vanishes meanwhile is no error: `down` in another terminal.
    answer = json.loads(engine.run("inspect", *names, check=False) or "[]")
    return {one["Config"]["Labels"][command.HOST]: one for one in answer}


def life(container: dict[str, Any]) -> str:
    """Return what changes with every start of a container."""
    return f"{container['Id']} {container['State']['StartedAt']}"


def addresses(container: dict[str, Any], network: str) -> list[str]:
    """Return a container's addresses in the sandbox's network, IPv4 first."""
    inside = container["NetworkSettings"]["Networks"].get(network) or {}
    return [one for one in (inside.get("IPAddress"), inside.get("GlobalIPv6Address")) if one]


def up(sandbox: Sandbox, say: Say) -> bool:
    """Bring the sandbox into its state and return whether anything had to be done; may be interrupted and run again."""
    engine = probe()
    if _ready(engine, sandbox):
        return False
    with locked(f"sandbox-{sandbox.name}"):
        there = found(engine, sandbox.name)
        _refuse_foreign(sandbox, there)
        room.ensure(sum(not _started(there.get(host.name)) for host in sandbox.hosts), say)
        with _under_way(RETURNED, "the same command goes on from there"):
            _make(engine, sandbox, there, say)
    return True


@contextmanager
def _under_way(code: int, again: str) -> Iterator[None]:
    """Give what ends in here an exit code that does not say that nothing was touched, and what to do `again`."""
    try:
        yield
    except KeyboardInterrupt as interrupted:
        raise Stop("interrupted", hint=again, code=code) from interrupted
    except Stop as stop:
        raise Stop(stop.message, hint=stop.hint or again, code=code, facts=stop.facts) from stop


def _make(engine: Engine, sandbox: Sandbox, there: dict[str, dict[str, Any]], say: Say) -> None:
    """Make what the sandbox lacks, whatever is `there` already."""
    sandbox.directory.mkdir(parents=True, mode=0o700, exist_ok=True)
    access.ensure_key(sandbox.key)
    _ensure_network(engine, sandbox)
    images = {
        (host.image, host.debian): image.ensure(engine, host.image, host.debian, say)
        for host in sandbox.hosts
        if not _started(there.get(host.name))
    }
    with ThreadPoolExecutor(4) as pool:  # two cores boot no faster with more
        public_keys = dict(pool.map(lambda one: _host_up(engine, sandbox, one, there, images, say), sandbox.hosts))
    there = found(engine, sandbox.name)
    for host in sandbox.hosts:
        if host.image == "acme":
            say(f"{host.name}: ACME server")
            domains = {
                domain: [each for other in of for each in addresses(there[other.name], sandbox.network)]
                for domain, of in _of_domains(sandbox).items()
            }
            acme.ensure(engine, sandbox.container(host), host, domains, sandbox.directory)
    access.write(sandbox, public_keys)
    _write_addresses(sandbox, there)
    for host in sandbox.hosts:
        if host.published_ssh:
            access.wait(host.published_ssh, host.name)
    _write_ready(sandbox, there)


def answer(sandbox: Sandbox) -> bool:
    """Say whether the hosts that the last `up` made still answer; costs no call of the engine, and knows no details."""
    if not (sandbox.directory / READY).is_file():
        return False
    for port in (host.published_ssh for host in sandbox.hosts if host.published_ssh):
        with socket.socket() as probing:
            probing.settimeout(1)
            if probing.connect_ex(("127.0.0.1", port)):
                return False
    return True


def _ready(engine: Engine, sandbox: Sandbox) -> bool:
    """Say whether all is as the last `up` left it; costs one or two calls of the engine."""
    path = sandbox.directory / READY
    try:
        then = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    there = found(engine, sandbox.name)
    now = {name: life(one) for name, one in there.items() if one["State"]["Running"]}
    wanted = {host.name: command.options_hash(host) for host in sandbox.hosts}
    return bool(then == {"hosts": now, "options": wanted, "domains": _domains(sandbox)})


def _of_domains(sandbox: Sandbox) -> dict[str, list[Host]]:
    """Return the hosts of each domain: one of several entries leads to all of them."""
    found: dict[str, list[Host]] = {}
    for host in sandbox.hosts:
        for domain in host.domains:
            found.setdefault(domain, []).append(host)
    return found


def _domains(sandbox: Sandbox) -> dict[str, list[str]]:
    return {host.name: list(host.domains) for host in sandbox.hosts}


def _write_addresses(sandbox: Sandbox, there: dict[str, dict[str, Any]]) -> None:
    """Write where hosts reach each other, for inventories of several."""
    told = {name: (addresses(one, sandbox.network) or [""])[0] for name, one in there.items()}
    (sandbox.directory / ADDRESSES).write_text(json.dumps(told, sort_keys=True) + "\n")


def _write_ready(sandbox: Sandbox, there: dict[str, dict[str, Any]]) -> None:
    told = {
        "hosts": {name: life(one) for name, one in there.items()},
        "options": {host.name: command.options_hash(host) for host in sandbox.hosts},
        "domains": _domains(sandbox),
    }
    (sandbox.directory / READY).write_text(json.dumps(told))


def _refuse_foreign(sandbox: Sandbox, there: dict[str, dict[str, Any]]) -> None:
    """Stop before touching what another checkout made, or what can't be changed without losing what is on it."""
    wanted = {host.name: host for host in sandbox.hosts}
    for name, one in there.items():
        labels = one["Config"]["Labels"]
        if labels[command.DIRECTORY] != str(sandbox.directory):
            raise Stop(
                f"a sandbox {sandbox.name!r} is there already, made for {labels[command.DIRECTORY]}",
                hint="take it down from there, or give yours another sandbox_name and other ports",
            )
        if name not in wanted:
            raise Stop(f"the sandbox has a host {name} that its inventory names no more", hint="run sandbox.down")
        if _started(one) and labels[command.OPTIONS] != command.options_hash(wanted[name]):
            raise Stop(
                f"the sandbox options of {name} changed, and a host that is up can't take them on",
                hint="run sandbox.down first (what is on the host is lost), then sandbox.up",
            )


def _started(container: dict[str, Any] | None) -> bool:
    """Say whether the container ever ran; one that never did is what an interrupted `up` left."""
    if container is None:
        return False
    return bool(container["State"]["Running"]) or not str(container["State"]["StartedAt"]).startswith("0001-")


def _ensure_network(engine: Engine, sandbox: Sandbox) -> None:
    filters = ("--filter", f"label={command.SANDBOX}={sandbox.name}")
    if sandbox.joins or engine.run("network", "ls", "--quiet", *filters).strip():
        return
    try:
        engine.run(*command.network(sandbox, ipv6=has_ipv6()))
    except Stop:
        # An engine that wants to be told a subnet for IPv6: the hosts do without it.
        engine.run(*command.network(sandbox, ipv6=False))


def _host_up(
    engine: Engine,
    sandbox: Sandbox,
    host: Host,
    there: dict[str, dict[str, Any]],
    images: dict[tuple[str, int], str],
    say: Say,
) -> tuple[str, str]:
    container = sandbox.container(host)
    known = there.get(host.name)
    if not _started(known):
        if known:
            engine.run("rm", "--force", container)
        say(f"{host.name}: starting")
        _run(engine, sandbox, host, images[host.image, host.debian])
    elif not known or not known["State"]["Running"]:
        say(f"{host.name}: starting again")
        engine.run("start", container)
    _wait_for_boot(engine, container)
    return host.name, access.setup(engine, sandbox, host)


def _run(engine: Engine, sandbox: Sandbox, host: Host, tag: str) -> None:
    container = sandbox.container(host)
    for last in (False, False, True):
        try:
            engine.run(*command.run(engine, sandbox, host, tag, address=_fixed(engine, sandbox, host)))
            return
        except Stop as stop:
            # What could not start stays behind, and so does what the engine was making when an `up` was killed.
            engine.run("rm", "--force", container, check=False)
            if re.search(r"address already in use|port is already allocated", stop.message):
                ports = ", ".join(str(port) for port in host.publish)
                raise Stop(
                    f"host {host.name}: one of this machine's ports {ports} is taken",
                    hint="see which with `ss -ltnp`, or give sandbox_publish and ansible_port other ones",
                ) from stop
            if last or "name" not in stop.message or "in use" not in stop.message:
                raise


def _fixed(engine: Engine, sandbox: Sandbox, host: Host) -> str:
    """Return the address that a host keeps over a power cut; empty where it wants none, or the engine gives none.

    Docker takes an address only in a network whose range somebody chose.
    """
    if not host.number or engine.name == "docker":
        return ""
    told = json.loads(engine.run("network", "inspect", sandbox.network))[0]
    every = (ipaddress.ip_network(each["subnet"]) for each in told["subnets"])
    return next((str(one[host.number]) for one in every if one.version == 4), "")


def _wait_for_boot(engine: Engine, container: str) -> None:
    deadline = time.monotonic() + BOOT_S
    state = ""
    while time.monotonic() < deadline:
        state = engine.run("exec", container, "systemctl", "is-system-running", "--wait", check=False).strip()
        if state in ("running", "degraded"):  # on a host in use, what is degraded is its user's matter
            return
        time.sleep(0.2)
    log = engine.run("logs", "--tail", "5", container, check=False)
    raise Stop(f"{container} did not boot within {BOOT_S} s (systemd says {state or 'nothing'!r})\n{log}".strip())


def down(name: str, directory: Path, *, images: bool = False) -> bool:
    """Remove all that belongs to the sandbox (images only if asked); say whether anything was there.

    Goes by labels alone: also for a sandbox whose inventory changed or whose `up` was killed.
    """
    engine = probe()
    with locked(f"sandbox-{name}"):
        there = found(engine, name)
        owners = {one["Config"]["Labels"][command.DIRECTORY] for one in there.values()}
        if owners - {str(directory)}:
            raise Stop(f"the sandbox {name!r} was made for {', '.join(sorted(owners))}", hint="take it down from there")
        with _under_way(NEEDS_PERSON, "`sandbox.down` again takes what is left"):
            had_hosts = _remove(engine, name)
            networks = engine.run("network", "ls", "--quiet", "--filter", f"label={command.SANDBOX}={name}").split()
            if networks:
                engine.run("network", "rm", *networks)
            was_there = bool(had_hosts or networks or directory.exists())
            shutil.rmtree(directory, ignore_errors=True)
            if images:
                image.remove_all(engine)
    return was_there


def _remove(engine: Engine, name: str) -> bool:
    """Remove the sandbox's containers, and say whether there were any: done is when none is left.

    A process that waits for a disk dies of SIGKILL only once the disk has answered. Podman waits five seconds for it,
    fails, and leaves the container; asked again, it lets go of it, and the kernel ends it when it can.
    """
    at_once = ["--time", "0"] if engine.name == "podman" else []
    deadline = time.monotonic() + GONE_S
    told = ""
    while ids := engine.run("ps", "--all", "--quiet", "--filter", f"label={command.SANDBOX}={name}").split():
        if time.monotonic() > deadline:
            raise Stop(f"containers {', '.join(ids)} are still there after {GONE_S} s: {told}", hint=WAITS)
        if told:
            time.sleep(0.5)
        try:
            engine.run("rm", "--force", "--volumes", *at_once, *ids)
            told = "the engine says that it has removed them"
        except Stop as stop:
            told = stop.message
    return bool(told)


def rows(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return one row for each host: name, state (absent, running, exited ...), image, ports, addresses."""
    engine = probe()
    there = found(engine, sandbox.name)
    result = []
    for host in sandbox.hosts:
        one = there.get(host.name)
        result.append(
            {
                "host": host.name,
                "container": sandbox.container(host),
                "state": one["State"]["Status"] if one else "absent",
                "image": host.image,
                "debian": host.debian,
                "ports": {f"127.0.0.1:{outside}": inside for outside, inside in sorted(host.publish.items())},
                "addresses": addresses(one, sandbox.network) if one else [],
            }
        )
    return result
