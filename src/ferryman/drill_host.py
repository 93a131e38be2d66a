"""The host of a full drill: a container beside those of a sandbox, or an empty machine that the inventory names.

Its inventory has nobody else in it: no play of a drill can reach who serves. What belongs to a drill lies in
.ferryman/drills. All of it is taken away by a process of its own (`drill_end`), which waits until this
one has ended, by `kill -9` too.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferryman import paths, places, runs
from ferryman.environments import Environment
from ferryman.errors import NEEDS_PERSON, Stop
from ferryman.progress import progress
from ferryman.sandbox import access, hosts, inventory
from ferryman.sandbox.lock import locked
from ferryman.sandbox.model import Host, Sandbox
from ferryman.sandbox.ports import free_port
from ferryman.variables import Loaded

GROUP = "drill"
"""Machines that nothing serves from: what `--host` may name."""
CONTAINER = "drill1"
SERVING = ("entry", "app", "db")
KINDS = (*SERVING, "cache", GROUP)
"""The groups that a drill's one host stands in for, where the environment has them."""
HTTPS = 443

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Machine:
    """The host of a drill: an environment of it alone, and how clients and the archive's host reach it."""

    host: str
    environment: Environment
    address: str
    archive_address: str
    archive_port: int
    is_container: bool
    values: dict[str, Any] = field(default_factory=dict)
    """What playbooks are told over its inventory."""

    @property
    def authorities(self) -> Path:
        """The file of what its clients trust."""
        return Path(self.values["release_ca"])


def choose(groups: Mapping[str, list[str]], told: Mapping[str, Variables], named: str, *, sandbox: bool) -> str:
    """Return the host for a drill by its name; empty for a new container. Stop where it would be one that serves.

    `told` are the variables of each host, by which two names of one machine are seen.
    """
    empty = groups.get(GROUP, [])
    place = "group `drill` of the inventory names empty machines"
    if named and named not in empty:
        raise Stop(f"{named} is no machine for a drill", hint=f"{place}: {', '.join(empty) or 'it has none'}")
    if not empty and sandbox:
        return ""
    if not empty:
        raise Stop("there is no machine for a drill", hint=f"{place}, and is never one that serves")
    if not named and len(empty) > 1:
        raise Stop("there are several machines for a drill: --host is needed", hint=f"one of: {', '.join(empty)}")
    host = named or empty[0]
    others = {each for group, hosts in groups.items() if group not in (GROUP, "all", "ungrouped") for each in hosts}
    same = sorted(each for each in others if each == host or _reached(each, told) == _reached(host, told))
    if same:
        raise Stop(
            f"{host} is {same[0]} of this environment, and everything on a drill's host is replaced",
            hint=f"{place}, and is never one that serves",
        )
    return host


def _reached(host: str, told: Mapping[str, Variables]) -> tuple[str, str]:
    own = told.get(host, {})
    return str(own.get("ansible_host", host)), str(own.get("ansible_port", 22))


@contextmanager
def ready(environment: Environment, loaded: Loaded, named: str) -> Iterator[Machine]:
    """Give a drill its host, and take away afterwards what there was of it here, however that ends."""
    sandbox = (environment.variables / "sandbox.yml").is_file()
    host = choose(loaded.groups, loaded.hosts, named, sandbox=sandbox)
    with locked(f"drill-{environment.name}"):
        root = runs.private_directory("drills")
        if host:
            machine = _machine(root, environment, loaded, host, _inline(environment, host), container=False)
            with _held(root, {"environment": environment.name, "values": machine.values}):
                yield machine
            return
        own = _sandbox(environment)
        hosts.down(own.name, own.directory)  # of a drill that this machine's own end has cut off
        with _held(root, {"sandbox": own.name, "directory": str(own.directory)}):
            _up(own)
            yield _machine(root, environment, loaded, CONTAINER, _reaching(own), container=True)


def _up(sandbox: Sandbox) -> None:
    seen = progress()
    try:
        hosts.up(sandbox, seen.step)
    finally:
        seen.close()


@contextmanager
def _held(root: Path, what: Mapping[str, Any]) -> Iterator[None]:
    """Have somebody else take away what there is of a drill, once this process is through with it, or has ended."""
    words = [sys.executable, "-m", "ferryman.drill_end", str(root), json.dumps(what)]
    pipe = subprocess.PIPE
    # A session of its own: what a terminal sends ends this process, and not that one.
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True) as holder:
        try:
            yield
        finally:
            said = holder.communicate()[0].decode(errors="replace").strip()  # the end of its input is its sign
            if holder.returncode:
                wrong = f"what the drill restored could not be taken away: {said}"
                raise Stop(wrong, hint="the next drill goes on there; or remove the machine", code=NEEDS_PERSON)


def _inline(environment: Environment, host: str) -> dict[str, Any]:
    """Return what the inventory's file says of a host; what its groups' files say reaches a drill by itself."""
    tree = places.values(environment.inventory.read_text(encoding="utf-8"))
    found: dict[str, Any] = {"ansible_host": host}
    for group in tree.values():
        for name, variables in inventory.named(group or {}, {}):
            found |= variables if name == host else {}
    return {"nginx_https_public_port": HTTPS, **found}


def _sandbox(environment: Environment) -> Sandbox:
    """Return the new host as a sandbox of its own, in the network of the environment's."""
    main = inventory.read(environment.directory, paths.state_directory())
    debian = next(host.debian for host in main.hosts if host.image == "base")
    ssh, https = free_port(), free_port()
    own = Host(CONTAINER, debian=debian, publish={ssh: ssh, https: HTTPS}, ssh_port=ssh)
    name = f"{main.name}-{GROUP}"
    return Sandbox(name, main.directory.with_name(name), (own,), joins=main.network)


def _reaching(sandbox: Sandbox) -> dict[str, Any]:
    """Return the variables by which the one host of a sandbox is reached, by Ansible and by others."""
    (own,) = sandbox.hosts
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": own.ssh_port,
        "ansible_user": access.USER,
        "ansible_ssh_common_args": f"-F '{sandbox.directory / access.SSH_CONFIG}'",
        "backup_full_drill_address": own.name,
        "nginx_https_public_port": next(port for port, inside in own.publish.items() if inside == HTTPS),
    }


def _machine(
    root: Path, environment: Environment, loaded: Loaded, host: str, variables: Variables, *, container: bool
) -> Machine:
    """Write an inventory of one host, which stands in for all of the environment, and return the machine."""
    directory = root / "inventories" / environment.name
    directory.mkdir(parents=True)
    for name in ("group_vars", "host_vars"):
        if (environment.directory / name).is_dir():
            (directory / name).symlink_to(environment.directory.resolve() / name)
    (root / ".ferryman").symlink_to(paths.state_directory().resolve())  # files of a sandbox, as its variables name them
    groups: dict[str, Any] = {kind: {"hosts": {host: {}}} for kind in KINDS if loaded.groups.get(kind) or kind == GROUP}
    tree = {"all": {"hosts": {host: dict(variables)}, "children": groups}}
    paths.write(directory / "hosts.yml", json.dumps(tree))  # which is YAML, too, and takes Ansible's own kinds of texts
    address = str(variables["ansible_host"])
    project = environment.directory.resolve().parent.parent
    values = {
        "release_root": str(project),
        "release_work_dir": str(root / "work"),
        "release_ca": str(root / "ca.pem"),
        "release_public_address": address,
        "release_stages": [],
        "nginx_https_public_port": int(variables["nginx_https_public_port"]),
        "certificate_mode": "selfsigned",
        "lock_host": host,
    }
    return Machine(
        host,
        Environment(environment.name, directory),
        address,
        str(variables.get("backup_full_drill_address") or address),
        int(variables.get("ansible_port", 22)),
        container,
        values,
    )
