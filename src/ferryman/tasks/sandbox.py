"""`sandbox.*`: real systemd hosts on this machine, for environments whose inventory asks for them."""

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
    from ferryman import telling
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    told = {"sandbox": sandbox.name, "changed": hosts.up(sandbox, _say), "hosts": hosts.rows(sandbox)}
    names = ", ".join(host.name for host in sandbox.hosts)
    telling.tell(told, lambda _: f"sandbox {sandbox.name} is up: {names}", ctx)


@task(help=ENV | {"images": "Remove the images too; the next `up` builds them again."})
def down(ctx: Context, env: str = "", images: bool = False) -> None:
    """Remove the sandbox's hosts, with all that is on them, their network and their files."""
    from ferryman import environments, readiness, telling
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    readiness.forget_hosts(environments.resolve(env))
    changed = hosts.down(sandbox.name, sandbox.directory, images=images)
    said = f"sandbox {sandbox.name} is gone" if changed else f"sandbox {sandbox.name}: nothing was there"
    telling.tell({"sandbox": sandbox.name, "changed": changed}, lambda _: said, ctx)


@task(name="list", help=ENV)
def list_(ctx: Context, env: str = "") -> None:
    """Show the sandbox's hosts: state, ports, addresses."""
    from ferryman import telling
    from ferryman.sandbox import hosts

    sandbox = _sandbox(env)
    told = {"sandbox": sandbox.name, "directory": str(sandbox.directory), "hosts": hosts.rows(sandbox)}
    telling.tell(told, _table, ctx)


def _table(told: Any) -> str:
    """Say how each host is reached."""
    lines = []
    for row in told["hosts"]:
        ports = ", ".join(f"{outside} -> {inside}" for outside, inside in row["ports"].items())
        lines.append(f"{row['host']:<16} {row['state']:<10} {row['image']:<6} {ports}")
    return "\n".join([*lines, f"ssh -F {told['directory']}/ssh_config {told['hosts'][0]['host']}"])
