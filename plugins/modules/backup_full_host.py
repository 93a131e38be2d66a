#!/usr/bin/python
"""The new host's part of a full drill: be claimed, let the archive in, take what it brings."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_full_host
short_description: Take all that an archive holds, on an empty host, for practice
description:
  - C(claim) refuses a host of any environment, and one on which something serves, and marks it as one of a drill.
  - C(open) lets the archive's key in, where there is room.
  - C(take) keeps the applications from the world, compares files with their manifests, puts them in place, and serves
    from the database that came.
  - C(leave) takes away what was restored, and leaves nothing running.
  - On a host that was not claimed the second and the third are refused, and the last does nothing.
options:
  environment: {description: The environment whose archive it is., type: str, required: true}
  step: {description: What to do., type: str, required: true, choices: [claim, open, take, leave]}
  run: {description: Name of the drill., type: str, default: ''}
  port: {description: TCP port of the cluster., type: int, default: 5432}
  public_key: {description: "Of C(open): the key to let in.", type: str, default: ''}
  bytes: {description: "Of C(open): what it brings.", type: int, default: 0}
  keep_free_bytes: {description: "Of C(open): what must stay free.", type: int, default: 0}
  into: {description: "Of C(take): where the database came to.", type: str, default: ''}
  sets: {description: "Of C(take): by set of files its directories, as its manifest tells.", type: dict, default: {}}
  left_out: {description: "Of C(take): what of files stays as it is here.", type: list, elements: str, default: []}
  sites: {description: "Of C(take): the applications, as the host calls them.", type: list, elements: str, default: []}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: Refuse a host that is anybody's
  ferryman.ops.backup_full_host: {environment: prod, step: claim}
"""

RETURN = r"""
ferryman:
  description:
    - "Under C(full), of open: C(into) and C(host_keys), where the archive sends to."
    - "Of take: C(checks), C(parts_s), and C(certificates), which clients of the drill are to trust."
  type: dict
  returned: by open and take
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    full_fence,
    full_host,
    full_leave,
    job,
    place,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.postgresql_server import Trouble as ServerTrouble
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


def take(given: dict[str, Any]) -> dict[str, Any]:
    """Keep what will run from the world, and put in place what came; no database where files are not as they were."""
    began, here = time.monotonic(), place.Place(given["port"], given["run"])
    here.close()
    full_fence.fence([Site(site).account for site in given["sites"]], given["port"])
    checks = full_host.take(given["environment"], given["into"], given["run"], given["sets"], given["left_out"])
    files_s = time.monotonic() - began
    if all(one["result"] == "passed" for one in checks):
        here.switch()
    parts = {"files": round(files_s, 3), "switch": round(time.monotonic() - began - files_s, 3)}
    return {"checks": checks, "parts_s": parts, "certificates": full_host.certificates(given["sites"])}


def act(given: dict[str, Any]) -> dict[str, Any]:
    """Do the step; return what it has to tell."""
    if given["step"] == "claim":
        full_host.claim(given["environment"], (80, 443, given["port"]))
        return {}
    if given["step"] == "leave":
        if full_host.is_claimed(given["environment"]):
            full_leave.leave(given["port"], [Site(site) for site in given["sites"]])
        return {}
    full_host.require_claimed(given["environment"])
    if given["step"] == "open":
        here = place.Place(given["port"], given["run"])
        return here.open(given["public_key"], given["bytes"], given["keep_free_bytes"])
    return take(given)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environment": {"required": True},
            "step": {"required": True, "choices": ["claim", "open", "take", "leave"]},
            "run": {"default": ""},
            "port": {"type": "int", "default": 5432},
            "public_key": {"default": "", "no_log": False},
            "bytes": {"type": "int", "default": 0},
            "keep_free_bytes": {"type": "int", "default": 0},
            "into": {"default": ""},
            "sets": {"type": "dict", "default": {}},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "sites": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    try:
        found = act(module.params)
    except (Trouble, ServerTrouble) as trouble:
        module.fail_json(msg=str(trouble), ferryman={"refused": module.params["step"] == "claim"})
    except OSError as error:
        module.fail_json(msg=job.said(error))
    module.exit_json(changed=True, ferryman={"full": found})


if __name__ == "__main__":
    main()
