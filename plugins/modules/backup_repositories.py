#!/usr/bin/python
"""Have the repositories of a host's files on an archive's host, and let that host append to them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_repositories
short_description: Keep the repositories of a host's files, and let that host append to them
description:
  - Makes an account of its own, a repository for each set, and what is needed to open them without any client.
  - The host's key may run borg's server on those repositories, appending only; another may ask how much room there is.
  - An archive takes the files of one host; another is refused. So is a passphrase that does not open what is there,
    before anything is written.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  path: {description: Directory below which archives lie., type: path, required: true}
  sets: {description: The sets that the host gives., type: list, elements: str, required: true}
  host: {description: The host whose files these are., type: str, required: true}
  passphrase: {description: What opens the repositories' keys., type: str, required: true}
  keys: {description: 'The public keys of the host, by what they may do: append, room.', type: dict, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Let app1 append
  ferryman.ops.backup_repositories:
    name: prod
    path: /srv/backups
    sets: [media, config]
    host: app1
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
user: {description: The account that the host logs in as., type: str, returned: success}
host_keys: {description: The public keys of this host's SSH server., type: list, elements: str, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import collect_command, records, repositories
from ansible_collections.ferryman.ops.plugins.module_utils.backup.collector import USER
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.host import program


def main() -> None:
    """Refuse what is wrong, then bring the repositories to their state."""
    required = {"required": True}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "path": {"type": "path", **required},
            "sets": {"type": "list", "elements": "str", **required},
            "host": required,
            "passphrase": {"no_log": True, **required},
            "keys": {"type": "dict", "no_log": False, **required},
        },
        supports_check_mode=True,
    )
    place = Placing(module.check_mode)
    try:
        wrong = repositories.problems(module.params)
        if wrong:
            module.fail_json(msg="; ".join(wrong))
        wanted = repositories.Repositories(module.params, place)
        wanted.require()
        for path, text, mode in program.library(program.needed(collect_command)):
            place.file(path, text, mode)
        place.file(repositories.PROGRAM, program.launcher(collect_command), 0o755)
        wanted.run()
        keys = repositories.host_keys()
    except repositories.NotOpening as trouble:
        module.fail_json(msg=str(trouble), ferryman={"setting": "backup_passphrase", "refused": True})
    except records.Trouble as trouble:
        module.fail_json(msg=str(trouble), changed=bool(place.paths))
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(place.paths), paths=place.paths, user=USER, host_keys=keys)


if __name__ == "__main__":
    main()
