"""The end of a full drill on a machine that somebody named: nothing is left of what was restored."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_server
from ansible_collections.ferryman.ops.plugins.module_utils.backup import full_fence, full_host
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


def leave(port: int, sites: Iterable[Site]) -> None:
    """Have nothing on this host any more of what was restored, and nothing run; what was installed stays.

    The rules that keep it from the world go last, and the mark with them.
    """
    for site in sites:
        units = [path.name for path in names.UNITS.glob(f"{site.name}-*")]
        program.run(["systemctl", "disable", "--now", "--quiet", *units])
        program.run(["systemctl", "stop", f"{site.name}-*"])
        for path in (*names.UNITS.glob(f"{site.name}-*"), site.root, site.dumps):
            full_host.gone(str(path))
    program.run(["systemctl", "disable", "--now", "--quiet", "nginx.service"])
    _empty_cluster(port)
    for root in full_host.mark().get("roots", []):
        for name in os.listdir(root) if os.path.isdir(root) else []:
            path = os.path.join(root, name)
            if path not in full_host.APART:
                full_host.gone(path)
    full_fence.unfence()
    full_host.gone(full_host.MARK)


def _empty_cluster(port: int) -> None:
    """Have a new cluster in the place of the one that serves, which is not started."""
    try:
        cluster = postgresql_server.find(port)
    except (postgresql_server.Trouble, OSError):  # a drill that never came so far
        return
    full_fence.run("pg_dropcluster", "--stop", cluster.version, cluster.name)
    for path in glob.glob(f"{cluster.data}.*"):
        full_host.gone(path)
    full_fence.run("pg_createcluster", "--port", str(port), cluster.version, cluster.name)
