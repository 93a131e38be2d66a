#!/usr/bin/python
"""Refuse a host where PostgreSQL could not serve, and say how a cluster is made, before anything is installed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_prepare
short_description: Make sure that PostgreSQL can be installed as it should be
description:
  - Refuses a port on which something else than PostgreSQL listens, naming it.
  - Debian's package would quietly take the next port.
  - Writes how a new cluster is made, with checksums and in UTF-8, for the case that the package is about to make one.
options:
  port: {description: The port that PostgreSQL is to listen on., type: int, default: 5432}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows the file before and after.}
"""

EXAMPLES = r"""
- name: Refuse a foreign listener
  ferryman.ops.postgresql_prepare: {}
"""

RETURN = r"""
listeners: {description: Names of the programs that listen on the port., type: list, elements: str, returned: success}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_plan as plan
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_server as server

FILE = Path("/etc/postgresql-common/createcluster.d/ferryman.conf")
TEXT = """# Written by Ferryman. Checksums find broken disks, and can't be had later without a stop;
# the locale of whoever installs the package would decide the encoding.
initdb_options = '--data-checksums --encoding=UTF8 --locale=C.UTF-8'
"""


def is_ours(port: int) -> bool:
    """Return whether a running cluster of Debian's has the port, for where `ss` can't tell."""
    try:
        listing = server.run(["pg_lsclusters", "-h"])
    except (OSError, server.Trouble):
        return False  # not installed
    return any(cluster.running and cluster.port == port for cluster in server.parse(listing))


def main() -> None:
    """Look first, then write."""
    module = AnsibleModule(argument_spec={"port": {"type": "int", "default": 5432}}, supports_check_mode=True)
    port = module.params["port"]
    _, output, _ = module.run_command(["ss", "-Hltnp", f"sport = :{port}"], check_rc=True)
    names = plan.listeners(output)
    if names == [plan.UNNAMED] and is_ours(port):
        names = ["postgres"]
    if any(name != "postgres" for name in names):
        module.fail_json(
            msg=f"port {port} is taken by {', '.join(names)}: stop it, or choose another port (postgresql_port)"
        )
    before = FILE.read_text() if FILE.exists() else ""
    if before != TEXT and not module.check_mode:
        try:
            FILE.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            FILE.write_text(TEXT)
        except OSError as error:
            module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    diff = {"before_header": str(FILE), "after_header": str(FILE), "before": before, "after": TEXT}
    module.exit_json(changed=before != TEXT, listeners=names, diff=diff if before != TEXT else {})


if __name__ == "__main__":
    main()
