#!/usr/bin/python
"""Mask the personal data of a database, and prove that none is left."""

from __future__ import annotations

DOCUMENTATION = r"""
module: data_mask
short_description: Mask the personal data of a database, and prove that none is left
description:
  - Masks a copy of a database in place, by a rule for each column, so that it may leave the environment it came from.
  - A column without a rule that holds or sounds like personal data is refused by name, before anything is changed.
  - Masks are the same for the same value, in every table, so joins hold. They keep the form and the length of a value,
    with a digit for a digit and a letter for a letter, and right checksums. Mail to them arrives nowhere.
  - In texts, personal data of twelve kinds is found and masked in place, written in disguise too, and so is every
    name and user name that a column with that rule holds.
  - All tables change in one transaction; then every column that is not kept is read again, and whatever is found there
    that no mask is fails the task, told by column, kind and count.
  - Run it on a copy that nobody else is connected to; never on the database that an application uses.
options:
  database: {description: Name of the database., type: str, required: true}
  port: {description: Port of its server., type: int, default: 5432}
  socket: {description: Directory of the server's socket, where it is not the packaged one., type: str, default: ''}
  account: {description: System account that may reach the server as C(postgres)., type: str, default: postgres}
  columns:
    description:
      - A rule for each column, by V(table.column), or V(schema.table.column) where the schema is not V(public).
      - A rule is a kind of personal data (V(email), V(phone), V(name), V(username), V(address), V(birth_date), V(iban),
        V(card), V(ssn), V(ip), V(mac), V(coordinates)), V(scrub) for texts and JSON in which it may stand, V(text) for
        texts of which nothing shall be left but their shape, V(remove), or a dictionary of V(keep) and the reason.
    type: dict
    required: true
  key:
    description:
      - Text that decides the masks, so that two copies get the same. It undoes nothing by itself, but who has it can
        find out whether a mask is that of a value he guesses. Without it each run makes one and forgets it.
    type: str
    default: ''
  proof:
    description: File for what was masked and why what was kept was; none by default. It holds no value of the database.
    type: path
    default: ''
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Looks, refuses or not, and says what would be masked.}
  diff_mode: {support: none, description: A difference would show what is to be hidden.}
"""

EXAMPLES = r"""
- name: Mask the copy
  ferryman.ops.data_mask:
    database: notes
    columns:
      users.email: email
      users.full_name: name
      notes.body: scrub
      users.password_hash: {keep: a salted hash; testers log in with it}
"""

RETURN = r"""
rows: {description: How many rows of each table were masked., type: dict, returned: success, sample: {users: 1200}}
columns: {description: The rule of each column that was masked., type: dict, returned: success}
kept: {description: The reason of each column that was kept., type: dict, returned: success}
mark:
  description: The database's comment now, by which M(ferryman.ops.data_dump) knows it again.
  type: str
  returned: success
left: {description: "What is left by column and kind; empty, or the task fails.", type: dict, returned: always}
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying, rules, work
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Database, Trouble

SPEC = {
    "database": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "socket": {"type": "str", "default": ""},
    "account": {"type": "str", "default": "postgres"},
    "columns": {"type": "dict", "required": True},
    "key": {"type": "str", "default": "", "no_log": True},
    "proof": {"type": "path", "default": ""},
}
FORMAT = 1


def main() -> None:
    """Look, refuse or mask, and look again."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    wanted = module.params["columns"]
    database = Database(*(module.params[name] for name in ("database", "port", "socket", "account")))
    told = {
        "columns": {name: rule for name, rule in wanted.items() if not rules.is_kept(rule)},
        "kept": {name: rule["keep"] for name, rule in wanted.items() if rules.is_kept(rule) and "keep" in rule},
        "rows": {},
        "left": {},
    }
    try:
        seen = work.survey(database, wanted)
        work.refuse(database, wanted, seen)
        if module.check_mode:
            module.exit_json(changed=bool(told["columns"]), **told)
        masking = work.Masking(database, wanted, module.params["key"].encode() or os.urandom(32))
        masking.learn(seen.tables)
        told["rows"] = masking.replace(seen.tables)
        told["left"] = masking.left()
    except work.Refused as refused:
        module.fail_json(msg=f"nothing was changed: {refused}", refused=True, ferryman={"refused": True}, left={})
    except Trouble as trouble:
        module.fail_json(msg=str(trouble), left={})
    if told["left"]:
        places = "; ".join(f"{name}: {counts}" for name, counts in told["left"].items())
        module.fail_json(msg=f"personal data is left, so this copy must go nowhere: {places}", **told)
    mark = f"masked by Ferryman: {os.urandom(16).hex()}"
    copying.mark(database, mark)
    if module.params["proof"]:
        prove(module, told)
    module.exit_json(changed=bool(told["columns"]), mark=mark, **told)


def prove(module: AnsibleModule, told: dict[str, Any]) -> None:
    """Write what was done; it takes the place of an older proof at once."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    proof = {"format": FORMAT, "database": module.params["database"], "at": at, **told}
    path = Path(module.params["proof"])
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.write_text(json.dumps(proof, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(path)
    except OSError as error:
        module.fail_json(msg=f"masked, but cannot write the proof {error.filename}: {error.strerror}", **told)


if __name__ == "__main__":
    main()
