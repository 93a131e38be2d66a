"""`sandbox.*`: real systemd hosts on this machine, for environments whose inventory asks for them."""

import json
from typing import Any

from invoke import Context, task

ENV = {"env": "Environment with sandbox hosts (local if not said)."}


def _sandbox(env: str) -> Any:
    from ferryman import environments, paths
    from ferryman.sandbox import inventory

    return inventory.read(environments.resolve(env).directory, paths.state_directory())


def _say(line: str) -> None:
    from sys import stderr

    print(line, file=stderr, flush=True)


@task(help=ENV)
def up(ctx: Context, env: str = "") -> None:
    """Bring the sandbox's hosts up; run it again after an interruption."""
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    changed = hosts.up(sandbox, _say)
    if ctx.ferryman.json:
        print(json.dumps({"sandbox": sandbox.name, "changed": changed, "hosts": hosts.rows(sandbox)}))
    else:
        print(f"sandbox {sandbox.name} is up: {', '.join(host.name for host in sandbox.hosts)}")


@task(help=ENV | {"images": "Remove the images too; the next `up` builds them again."})
def down(ctx: Context, env: str = "", images: bool = False) -> None:
    """Remove the sandbox's hosts, with all that is on them, their network and their files."""
    from ferryman import environments, readiness
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    readiness.forget_hosts(environments.resolve(env))
    changed = hosts.down(sandbox.name, sandbox.directory, images=images)
    if ctx.ferryman.json:
        print(json.dumps({"sandbox": sandbox.name, "changed": changed}))
    else:
        print(f"sandbox {sandbox.name} is gone" if changed else f"sandbox {sandbox.name}: nothing was there")


@task(name="list", help=ENV)
def list_(ctx: Context, env: str = "") -> None:
    """Show the sandbox's hosts: state, ports, addresses."""
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    rows = hosts.rows(sandbox)
    if ctx.ferryman.json:
        print(json.dumps({"sandbox": sandbox.name, "directory": str(sandbox.directory), "hosts": rows}))
        return
    for row in rows:
        ports = ", ".join(f"{outside} -> {inside}" for outside, inside in row["ports"].items())
        print(f"{row['host']:<16} {row['state']:<10} {row['image']:<6} {ports}")
    print(f"ssh -F {sandbox.directory / 'ssh_config'} {rows[0]['host']}")
