#!/usr/bin/python
"""Read the logs of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: logs_read
short_description: Read the logs of a host
description:
  - Reads what applications, entry, database and Ferryman's own units wrote on this host, in the order of time.
  - What is not wanted is left out on the host, and secrets of the sites never leave it.
  - With O(follow), shows each new line as it comes until it is interrupted, and never ends by itself.
options:
  sites: {description: "The name of each site on the host, and its application.", type: dict, required: true}
  entry_path: {description: Directory of the entry's logs., type: path, required: true}
  database_path:
    description: Directory of PostgreSQL's logs, where it has any.
    type: path
    default: /var/log/postgresql
  app: {description: Lines of this application alone., type: str, default: ''}
  process:
    description: Lines of this process alone; C(entry), C(database) and C(system) are those that no application starts.
    type: str
    default: ''
  release:
    description: Lines of this release alone; its beginning, or the commit at its end, will do.
    type: str
    default: ''
  level:
    description: Lines of this level and those that are worse.
    type: str
    choices: ['', debug, info, warning, error, critical]
    default: ''
  request_id: {description: Lines of this request alone., type: str, default: ''}
  grep: {description: Lines in which this regular expression is found., type: str, default: ''}
  since: {description: Not before this time in seconds since 1970., type: float}
  until: {description: Not after this time in seconds since 1970., type: float}
  lines: {description: The newest so many., type: int, default: 200}
  follow: {description: Whether to go on and show what comes., type: bool, default: false}
  cursor: {description: Read what came after this cursor of an earlier answer., type: dict}
  wait_s: {description: "With O(cursor): seconds to wait for the first new line.", type: float, default: 0}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: It changes nothing.}
"""

EXAMPLES = r"""
- name: Read what went wrong in the last hour
  ferryman.ops.logs_read:
    sites: {shop: shop}
    entry_path: /var/log/nginx/ferryman
    level: error
    since: "{{ now().timestamp() - 3600 }}"
"""

RETURN = r"""
lines:
  description: >-
    The lines in the order of time. Each has C(at) (microseconds since 1970), C(time), C(app), C(process), C(slot),
    C(release), C(level), C(request_id), C(message), C(fields) and, where one wrote it, C(unit).
  type: list
  elements: dict
  returned: success
cut: {description: Whether there are more than were answered., type: bool, returned: success}
cursor: {description: From where to go on., type: dict, returned: success}
known:
  description: >-
    Where O(process) or O(release) found nothing, lists C(processes) and C(releases) that can be asked for, of O(app)
    where it is given.
  type: dict
  returned: without O(cursor)
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries, reader

FILTERS = ("app", "process", "release", "level", "request_id", "grep")


def main() -> None:
    """Read once, or wait for what comes after a cursor."""
    words: dict[str, Any] = {name: {"type": "str", "default": ""} for name in FILTERS}
    words["level"]["choices"] = ["", *entries.LEVELS]
    module = AnsibleModule(
        argument_spec={
            **words,
            "sites": {"type": "dict", "required": True},
            "entry_path": {"type": "path", "required": True},
            "database_path": {"type": "path", "default": "/var/log/postgresql"},
            "since": {"type": "float"},
            "until": {"type": "float"},
            "lines": {"type": "int", "default": 200},
            "follow": {"type": "bool", "default": False},
            "cursor": {"type": "dict"},
            "wait_s": {"type": "float", "default": 0},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = entries.Wanted(**{name: given[name] for name in (*FILTERS, "since", "until")})
    wrong = reader.checked(wanted, given["sites"])
    if wrong:
        module.fail_json(msg=wrong)
    began = time.time()
    try:
        host = reader.Host(given["sites"], given["entry_path"], given["database_path"])
        if given["cursor"]:
            began = given["cursor"].get("began", began)
            answer = host.after(given["cursor"], wanted, wait_s=given["wait_s"], began=began)
        else:
            answer = host.newest(wanted, given["lines"])
    except OSError as error:
        module.fail_json(msg=f"cannot read {error.filename or 'the logs'}: {error.strerror}")
    answer["cursor"]["began"] = began
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
