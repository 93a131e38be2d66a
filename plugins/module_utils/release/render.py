"""What a release runs: the launcher of each process, and the unit of each instance; the same text for the same input.

A launcher belongs to the release (configuration in clear, then `exec`), so that code, command and configuration go back
together. A unit belongs to a slot and says only where, as whom, with which limits and behind which walls the launcher
runs.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.module_utils.release.runtime import RUNTIMES

Process = Mapping[str, Any]

# systemd.exec(5): what an ordinary service never needs. ProtectProc= is missing: with PrivateUsers= the unit does not
# start in a container (217/USER on systemd 252), and the latter is worth more.
WALLS = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
DevicePolicy=closed
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0027
"""
SOCKETS = "/run/postgresql"  # where Debian's PostgreSQL and its clients have them
FILLED = {"{host}": "HOST", "{port}": "PORT", "{revision}": "FERRYMAN_REVISION"}
"""What stands for something in a command, and the variable that holds it."""
PLACE = re.compile(f"({'|'.join(map(re.escape, FILLED))})")
MIGRATING = {"migrate": "command", "revision": "revision", "downgrade": "downgrade"}
"""What the commands under migrations are called where they run, and there."""
NETWORK = {
    "any": "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n",
    "local": "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\nIPAddressDeny=any\nIPAddressAllow=localhost\n",
    "none": "RestrictAddressFamilies=AF_UNIX\nPrivateNetwork=yes\n",
    "apart": "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\nPrivateNetwork=yes\n",  # of a rehearsal alone
}


def launcher(
    site: Site,
    process: Process,
    *,
    app: str,
    environment: str,
    release: str,
    runtime: str,
    env: Mapping[str, str],
    secret_env: Sequence[str],
) -> str:
    """Return the shell script that becomes the process.

    `env` in clear, `secret_env` filled from the unit's credentials.
    """
    directory, kind = site.release(release), RUNTIMES[runtime]
    clear = {
        **kind.ENV,
        **env,
        "FERRYMAN_APP": app,
        "FERRYMAN_ENVIRONMENT": environment,
        "FERRYMAN_RELEASE": release,
        "FERRYMAN_SHARED": str(site.root / "shared"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    lines = ["#!/bin/sh", "set -eu", f"cd {shlex.quote(str(directory / 'app'))}"]
    lines += [f"export {name}={shlex.quote(str(value))}" for name, value in sorted(clear.items())]
    lines.append(f'export PATH="{directory}/app/bin:{directory}/environment/{kind.BIN}:$PATH"')
    lines.append(f"export PYTHONPATH={shlex.quote(f'{directory}/app:{directory}/app/src')}")
    for name in secret_env:
        lines += [f'{name}=$(cat "$CREDENTIALS_DIRECTORY/{name}")', f"export {name}"]
    lines.append(f"exec {command(str(process['command']))}")
    return "\n".join(lines) + "\n"


def command(words: str) -> str:
    """Return a command's words quoted for the shell, `{host}` and `{port}` as where the instance listens.

    Of a way down `{revision}` is where it leads to.
    """
    return " ".join("".join(map(_part, PLACE.split(word))) or "''" for word in shlex.split(words))


def _part(text: str) -> str:
    if text in FILLED:
        return f'"${FILLED[text]}"'
    return shlex.quote(text) if text else ""


def unit(
    site: Site,
    name: str,
    process: Process,
    *,
    slot: str,
    number: int,
    listen: tuple[str, int] = ("", 0),
    secrets: Sequence[str] = (),
) -> str:
    """Return the unit of instance `number` (from 1) of process `name` in `slot`; `listen` is its address and port."""
    where = site.slot(slot)
    return _unit(
        site,
        process,
        description=f"{site.name} {name} {number} ({slot})",
        start=f"{where}/run/{name}",
        environment={"FERRYMAN_SLOT": slot, **({"HOST": listen[0], "PORT": str(listen[1])} if listen[1] else {})},
        secrets=secrets,
        identifier=f"{site.name}-{name}",
    )


def transient(
    site: Site,
    name: str,
    process: Process,
    *,
    release: str,
    secrets: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the unit that runs process `name` of `release` once.

    It belongs to systemd, so it survives whoever started it.
    """
    return _unit(
        site,
        {**process, "kind": "once"},
        description=f"{site.name} {name} of {release}",
        start=f"{site.release(release)}/run/{name}",
        environment=environment or {},
        secrets=secrets,
        identifier=f"{site.name}-{name}",
    )


def rehearsal(
    site: Site,
    name: str,
    process: Process,
    *,
    release: str,
    port: int,
    secrets: Sequence[str],
    within: str,
    database: str,
) -> str:
    """Return the unit that runs process `name` of `release` on restored data, for as long as the service `within` runs.

    It shares that one's network, in which nothing of the host's is, and reaches the restored database where the host's
    own would be: also by its socket, which lies in the directory `database` and is all that it sees of /run. It writes
    nothing of the site's.
    """
    text = _unit(
        site,
        {**process, "network": "apart"},
        description=f"{site.name} {name} of {release} on restored data",
        start=f"{site.release(release)}/run/{name}",
        environment={"FERRYMAN_SLOT": "drill", "HOST": "127.0.0.1", "PORT": str(port)},
        secrets=secrets,
        identifier=f"{site.name}-{name}",
        writes=False,
    )
    bound = f"BindsTo={within}\nAfter={within}\nJoinsNamespaceOf={within}\n"
    # A network apart keeps nobody from a socket's file: of a pooler it would lead to the database that serves.
    sockets = f"TemporaryFileSystem=/run:ro\nBindPaths={database}:{SOCKETS}\n"
    kept = text.partition("[Install]")[0].replace("[Service]\n", f"[Service]\n{sockets}", 1)
    return kept.replace("[Unit]\n", f"[Unit]\n{bound}", 1)


def _unit(
    site: Site,
    process: Process,
    *,
    description: str,
    start: str,
    environment: Mapping[str, str],
    secrets: Sequence[str],
    identifier: str,
    writes: bool = True,
) -> str:
    once = process["kind"] in ("once", "cron")
    service = [
        "Type=oneshot" if once else "Type=exec",
        f"User={site.account}",
        f"Group={site.account}",
        f"ExecStart={start}",
        *(_set(name, value) for name, value in environment.items()),
        *(f"LoadCredential={name}:{site.settings}/secrets/{name}" for name in sorted(secrets)),
        *([f"ReadWritePaths=-{site.root}/shared"] if writes else []),
        f"SyslogIdentifier={identifier}",
        f"TimeoutStopSec={process.get('stop_timeout_s') or 30}",
        "KillMode=mixed",
    ]
    if process.get("timeout_s"):
        service.append(f"TimeoutStartSec={process['timeout_s']}")
    if not once:
        service += ["Restart=always", "RestartSec=1"]
    if process.get("memory_max"):
        service.append(f"MemoryMax={process['memory_max']}")
    if process.get("cpu_quota"):
        service.append(f"CPUQuota={process['cpu_quota']}")
    parts = [
        f"# Written by Ferryman for {site.name}; changes are lost with the next release.",
        "[Unit]",
        f"Description={description}",
        "After=network-online.target postgresql.service",
        "Wants=network-online.target",
    ]
    if not once:
        parts.append("StartLimitIntervalSec=0")
    parts += ["", "[Service]", *service, WALLS + NETWORK[process.get("network") or "any"]]
    if not once:
        parts += ["[Install]", "WantedBy=multi-user.target", ""]
    return "\n".join(parts)


def _set(name: str, value: str) -> str:
    return f'Environment="{name}={value}"' if " " in value else f"Environment={name}={value}"


def timer(site: Site, name: str, process: Process, *, slot: str) -> str:
    """Return the timer of a `cron` process; Persistent, so that a run missed while the host was down is made up for."""
    return "\n".join(
        [
            f"# Written by Ferryman for {site.name}; changes are lost with the next release.",
            "[Unit]",
            f"Description={site.name} {name} ({slot})",
            "",
            "[Timer]",
            f"OnCalendar={process['schedule']}",
            "Persistent=yes",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )


def configuration(site: Site, description: Mapping[str, Any], *, environment: str) -> str:
    """Return the SHA-256 over all that is rendered for a release and is not secret, whatever its id and its slot."""
    placeholder = "00000000T000000Z-0000000"
    rendered = {
        name: [
            text,
            unit(
                site,
                name,
                description["processes"].get(name, {"kind": "once"}),
                slot="blue",
                number=1,
                secrets=all_secrets(description),
            ),
        ]
        for name, text in launchers(site, description, environment=environment, release=placeholder).items()
    }
    sizes = {
        name: [process["kind"], process.get("instances", 1), process.get("schedule", "")]
        for name, process in description["processes"].items()
    }
    whole = json.dumps([rendered, sizes, description.get("shared"), description.get("health")], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def all_secrets(description: Mapping[str, Any]) -> list[str]:
    """Return the names of every secret of an application, each once."""
    return sorted({*description.get("secrets", []), *description.get("secret_env", [])})


def launchers(site: Site, description: Mapping[str, Any], *, environment: str, release: str) -> dict[str, str]:
    """Return every launcher of a release by name.

    Its processes, and `migrate`, `revision` and `downgrade` where it has migrations.
    """
    processes = dict(description["processes"])
    migrations = description.get("migrations") or {}
    for name, key in MIGRATING.items():
        if migrations.get(key):
            processes[name] = {"command": migrations[key]}
    return {
        name: launcher(
            site,
            process,
            app=description["name"],
            environment=environment,
            release=release,
            runtime=description["runtime"]["kind"],
            env=description.get("env", {}),
            secret_env=description.get("secret_env", []),
        )
        for name, process in processes.items()
    }
