#!/usr/bin/python
"""Have this host give its files to an archive: settings, secrets, the program of its timers; then reach the archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_source_setup
short_description: Have a host give its files to an archive
description:
  - Writes settings, secrets and the program that timers run, then reaches the archive as the timers will.
  - A passphrase that is another than before must have opened the archive's repositories before it is written.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  host: {description: The name of this host in records., type: str, required: true}
  sets: {description: The directories by set., type: dict, required: true}
  left_out:
    description: Shell patterns over whole paths that no backup takes.
    type: list
    elements: str
    required: true
  address: {description: Name or address of the archive's host., type: str, required: true}
  port: {description: TCP port of its SSH server., type: int, required: true}
  user: {description: The account there., type: str, required: true}
  path: {description: Where the archive lies there., type: path, required: true}
  host_keys: {description: The public keys of its SSH server., type: list, elements: str, required: true}
  passphrase: {description: What opens the repositories' keys., type: str, required: true}
  keep_free_bytes: {description: Bytes of the archive's disk that a backup must leave free., type: int, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change; reaches for nothing.}
"""

EXAMPLES = r"""
- name: Give media to the archive of prod
  ferryman.ops.backup_source_setup:
    name: prod
    host: app1
    sets: {media: [/srv/notes/shared]}
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
"""

import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    records,
    repositories,
    source,
    source_command,
    ssh,
    tree,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.cache import scratch
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

KEPT = ("name", "host", "sets", "left_out", "address", "port", "user", "path", "keep_free_bytes")


def problems(wished: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = repositories.problems({**wished, "sets": list(wished["sets"])})
    found += [
        f"backup_{kind}_paths: {said}" for kind, roots in wished["sets"].items() for said in tree.overlapping(roots)
    ]
    return found if wished["sets"] else [*found, "no set has a directory: name some in backup_media_paths"]


def require_opening(told: dict[str, Any], hosts: str, passphrase: str) -> None:
    """Refuse another passphrase than before where it does not open what is there, before anything is written."""
    own = source.secrets(told["name"])
    if repositories.read(f"{own}/passphrase") == f"{passphrase}\n":
        return
    with tempfile.NamedTemporaryFile("w", prefix="ferryman-backup-", encoding="utf-8") as file:
        file.write(hosts)
        file.flush()
        source.Source(told["name"], told, file.name).require_opening(passphrase)


def main() -> None:
    """Refuse what is wrong, write, and reach the archive."""
    required = {"required": True}
    strings = {"type": "list", "elements": "str", **required}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "host": required,
            "sets": {"type": "dict", **required},
            "left_out": strings,
            "address": required,
            "port": {"type": "int", **required},
            "user": required,
            "path": {"type": "path", **required},
            "host_keys": {"no_log": False, **strings},
            "passphrase": {"no_log": True, **required},
            "keep_free_bytes": {"type": "int", **required},
        },
        supports_check_mode=True,
    )
    wished, place = module.params, Placing(module.check_mode)
    wrong = problems(wished)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    own = source.secrets(wished["name"])
    told = {"format": records.FORMAT, **{key: wished[key] for key in KEPT}}
    hosts = ssh.known(wished["address"], wished["port"], wished["host_keys"])
    try:
        if not module.check_mode:
            require_opening(told, hosts, wished["passphrase"])
        place.directory(own, 0o700)
        place.directory(f"{source.STATE}/{wished['name']}", 0o700)
        if "cache" in wished["sets"]:
            place.directory(scratch.HOME, 0o711)
        place.file(f"{own}/passphrase", f"{wished['passphrase']}\n", 0o600)
        place.file(f"{own}/known_hosts", hosts, 0o600)
        place.file(source.settings(wished["name"]), records.written(told))
        for path, text, mode in program.library(program.needed(source_command)):
            place.file(path, text, mode)
        place.file(source.PROGRAM, program.launcher(source_command), 0o755)
        if not module.check_mode:
            there = source.Source(wished["name"])
            there.there()
            for kind in wished["sets"]:
                there.engine(kind).ids()
    except records.Trouble as trouble:
        module.fail_json(msg=str(trouble), changed=bool(place.paths))
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(place.paths), paths=place.paths)


if __name__ == "__main__":
    main()
