"""The files of an environment whose hosts are a sandbox on this machine: one host that does everything, or a fleet."""

from ferryman import paths
from ferryman.errors import Stop
from ferryman.init.files import template, templates
from ferryman.sandbox import ports

SINGLE, FLEET = "single", "fleet"
PORTS: dict[str, list[tuple[str, ...]]] = {
    SINGLE: [("http", "ssh", "https", "acme")],
    FLEET: [("ssh1", "http1", "https1", "ssh2", "http2", "https2"), ("app1", "app2", "app3", "db1", "acme")],
}
"""The names of the ports that each topology wants, by blocks."""
NAMED_BY_HOST = "group_vars/all/nginx.yml"


def files(topology: str, *, env: str, name: str) -> dict[str, str]:
    """Return the environment's files but its applications, by path in it; the sandbox's name begins with `name`.

    Stop where there is no such topology.
    """
    if topology not in PORTS:
        raise Stop(f"no sandbox {topology!r}", hint=f"--sandbox takes one of: {', '.join(PORTS)}")
    values = {"env": env, "program": paths.program()}
    for block in PORTS[topology]:
        first = ports.free_block(len(block))
        values |= {each: str(first + number) for number, each in enumerate(block)}
        values.setdefault("name", f"{name}-{first}")
    own = {each: f"{topology}/{each}" for each in templates(topology)} if topology != SINGLE else {}
    shared = {each: f"local/{each}" for each in templates("local") if topology == SINGLE or each != NAMED_BY_HOST}
    return {each: template(path, values) for each, path in {**shared, **own}.items()}
