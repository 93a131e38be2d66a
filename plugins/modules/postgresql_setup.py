#!/usr/bin/python
"""Bring a PostgreSQL server, its roles and its databases to their state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_setup
short_description: Bring a PostgreSQL server, its roles and its databases to their state
description:
  - Settings go into a file of their own, access rules into a marked block.
  - Both are tested before the server reads them.
  - The server reloads, and restarts only where it says itself that a changed setting needs it.
  - Passwords are compared with and stored as SCRAM verifiers computed here.
  - No statement, log or list of processes shows one.
  - At the end each owner with a password logs in over TCP.
options:
  databases:
    description: Databases and who owns them; what is not named is left alone.
    type: list
    elements: dict
    default: []
    options:
      name: {description: Name of the database., type: str, required: true}
      owner: {description: Role that owns it and may log in., type: str, required: true}
      extensions: {description: Extensions to add., type: list, elements: str, default: []}
  passwords:
    description:
      - Passwords of the owners, by name of the database.
      - Apart from I(databases), since Ansible writes a module's options to the host's log, and hides a secret there
        for certain only where the whole option is one. A quotation mark inside a nested password undoes it.
    type: dict
    default: {}
  listen: {description: Addresses to listen on., type: list, elements: str, default: [localhost]}
  port: {description: The port to listen on., type: int, default: 5432}
  allow:
    description: Who may come from elsewhere, over TLS and with a password.
    type: list
    elements: dict
    default: []
    options:
      database: {description: Name of the database., type: str, required: true}
      user: {description: Name of the role., type: str, required: true}
      from: {description: An address or a network., type: str, required: true}
  logins:
    description: Roles that log in and own nothing; from elsewhere over TLS alone.
    type: list
    elements: dict
    default: []
    options:
      name: {description: Name of the role., type: str, required: true}
      replication: {description: Whether it may read the server's own stream., type: bool, default: false}
      member_of: {description: Roles that it is a member of., type: list, elements: str, default: []}
      functions:
        description: "Functions of database postgres that it may call, as C(name(type, type))."
        type: list
        elements: str
        default: []
      databases: {description: Databases that it may connect to., type: list, elements: str, default: []}
      from: {description: Addresses or networks that it comes from., type: list, elements: str, default: []}
  login_passwords: {description: "Passwords of the logins, by name; apart, too.", type: dict, default: {}}
  synchronous:
    description: Names of standbys of which any one has a commit before it is acknowledged.
    type: list
    elements: str
    default: []
  slot_keep:
    description: "What a replication slot may hold back, as max_slot_wal_keep_size takes it; empty: no bound."
    type: str
    default: ''
  archive:
    description: "A program and its arguments that is given each whole file of WAL; once it is there. Empty: none."
    type: str
    default: ''
  memory_percent: {description: Share of the host's memory that the server may plan with., type: int, default: 50}
  settings: {description: Further settings by name; they win over computed ones., type: dict, default: {}}
  restart: {description: Whether to restart where a setting needs it., type: bool, default: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
  diff_mode: {support: full, description: Shows files before and after; never a password.}
"""

EXAMPLES = r"""
- name: Give the application its database
  ferryman.ops.postgresql_setup:
    databases:
      - {name: notes, owner: notes}
    passwords: {notes: "{{ vault_notes_database_password }}"}
"""

RETURN = r"""
version: {description: Major version of the server., type: str, returned: when it is installed}
memory: {description: Bytes of memory that the sizes were computed from., type: int, returned: success}
settings: {description: The settings of conf.d/ferryman.conf., type: dict, returned: success}
steps: {description: What was done, in words., type: list, elements: str, returned: success}
pending: {description: Settings that wait for a restart., type: list, elements: str, returned: success}
overridden:
  description: Settings of ours that another file wins over, with the file.
  type: list
  elements: str
  returned: success
"""

import os
from typing import TYPE_CHECKING, Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_logins, postgresql_scram
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_plan as plan
from ansible_collections.ferryman.ops.plugins.module_utils.postgresql_server import Server, Trouble, find, memory, write

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = {
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "extensions": {"type": "list", "elements": "str", "default": []},
}
LIST = {"type": "list", "elements": "str", "default": []}
LOGIN = {
    "name": {"type": "str", "required": True},
    "replication": {"type": "bool", "default": False},
    **dict.fromkeys(("member_of", "functions", "databases", "from"), LIST),
}
ALLOW = {name: {"type": "str", "required": True} for name in ("database", "user", "from")}
SPEC = {
    "databases": {"type": "list", "elements": "dict", "options": DATABASE, "default": []},
    "passwords": {"type": "dict", "no_log": True, "default": {}},
    "listen": {"type": "list", "elements": "str", "default": ["localhost"]},
    "port": {"type": "int", "default": 5432},
    "allow": {"type": "list", "elements": "dict", "options": ALLOW, "default": []},
    "logins": {"type": "list", "elements": "dict", "options": LOGIN, "default": []},
    "login_passwords": {"type": "dict", "no_log": True, "default": {}},
    "synchronous": LIST,
    "slot_keep": {"type": "str", "default": ""},
    "archive": {"default": ""},
    "memory_percent": {"type": "int", "default": 50},
    "settings": {"type": "dict", "default": {}},
    "restart": {"type": "bool", "default": True},
}
AUTO = "/postgresql.auto.conf"  # what somebody has said by `alter system`, such as that none are sent just now
LOCAL = {"localhost", "127.0.0.1", "*", "0.0.0.0"}  # noqa: S104 -- compared with, not listened on


class Setup:
    """One run: what was wished, what was found, what was done."""

    def __init__(self, wished: dict[str, Any], server: Server, check: bool) -> None:
        self.wished, self.server, self.check = wished, server, check
        self.conf = server.cluster.conf / "conf.d" / "ferryman.conf"
        self.hba = server.cluster.conf / "pg_hba.conf"
        self.steps: list[str] = []
        self.pending: list[str] = []
        self.stopped = self.waits = self.archives = False
        self.diffs: list[dict[str, str]] = []
        self.memory = memory()
        self.settings: dict[str, str] = {}

    def run(self) -> None:
        if not self.server.cluster.running:
            self.steps.append(f"start {self.server.cluster.unit}")
            if self.check:
                return  # nothing can be asked of a server that is down
            self.server.start()
        self.files()
        self.contents()
        self.look()

    def files(self) -> None:
        """Settings and access rules: tested, put in place, read by the server, or put back."""
        own = {name: str(value) for name, value in self.wished["settings"].items()}
        own["listen_addresses"] = ", ".join(self.wished["listen"])
        own["port"] = str(self.wished["port"])
        self.waits = bool(self.wished["synchronous"]) and self.server.has_standby(self.wished["synchronous"])
        if self.waits:
            own["synchronous_standby_names"] = postgresql_logins.standbys(self.wished["synchronous"])
        if self.wished["slot_keep"]:
            own["max_slot_wal_keep_size"] = self.wished["slot_keep"]
        own = {**self.archiving(), **own}
        own["password_encryption"] = "scram-sha-256"  # noqa: S105 -- the name of a method
        computed = plan.sizes(self.memory, self.wished["memory_percent"])
        self.settings = plan.chosen(computed, own, self.server.foreign(self.conf))
        before = {path: path.read_text() if path.exists() else None for path in (self.conf, self.hba)}
        lines = plan.access(self.wished["databases"], self.wished["allow"])
        lines += postgresql_logins.access(self.wished["logins"])
        after = {self.conf: plan.conf(self.settings), self.hba: plan.merged(before[self.hba] or "", lines)}
        changed = [path for path in after if after[path] != before[path]]
        for path in changed:
            self.steps.append(f"write {path}")
            self.diffs.append({"before_header": str(path), "after_header": str(path),
                               "before": before[path] or "", "after": after[path]})  # fmt: skip
        # An earlier run may have ended between writing and reloading: that the files are right says nothing.
        unread = bool(changed) or not self.server.has_read([self.conf, self.hba])
        if unread and not changed:
            self.steps.append("reload the configuration")
        if self.conf in changed:
            self.server.test(after[self.conf])
        if self.check:
            return
        try:
            for path in changed:
                write(path, after[path])
            self.wake(unread)
        except Trouble:
            for path in changed:
                put_back(path, before[path])
            if self.stopped:
                self.server.restart()
            elif changed:
                self.server.reload()
            raise

    def archiving(self) -> dict[str, str]:
        """Return by what files of WAL are archived; refused where another file already has them archived elsewhere."""
        program = self.wished["archive"]
        theirs = [line for line in self.server.foreign(self.conf) if line["name"] == "archive_command"]
        taken = [line["file"] for line in theirs if line["setting"] and not line["file"].endswith(AUTO)]
        if program and taken:
            raise Trouble(
                f"{taken[-1]} sets archive_command, and files of WAL go one way alone: take it out there, or leave "
                "postgresql_archive empty (backup_wal_archive: false)"
            )
        self.archives = bool(program) and os.path.exists(program.split()[0])
        return plan.archiving(program, self.archives, self.conf.read_text() if self.conf.exists() else "")

    def later(self) -> list[str]:
        """Return what was wished and waits for what is not there yet."""
        found = []
        if self.wished["synchronous"] and not self.waits:
            found.append("no standby is there yet, so commits wait for none")
        if self.wished["archive"] and not self.archives:
            found.append(f"{self.wished['archive'].split()[0]} is not there yet, so no files of WAL are archived")
        return found

    def wake(self, unread: bool) -> None:
        """Reload what the server has not read, and restart where the server itself says that it is needed."""
        refused = self.server.refused_rules() if unread else []
        if refused:
            raise Trouble(f"pg_hba.conf can't be read: {'; '.join(refused)}")
        self.pending = self.server.reload() if unread else self.server.pending()
        ours = [name for name in self.pending if name in self.settings]
        if ours and self.wished["restart"]:
            self.steps.append(f"restart for {', '.join(ours)}")
            self.stopped = True
            self.server.restart()
            self.pending = self.server.pending()

    def contents(self) -> None:
        """Roles and databases."""
        databases = self.wished["databases"]
        found = self.server.roles([database["owner"] for database in databases])
        crypt = postgresql_scram.matches, postgresql_scram.verifier
        steps = plan.roles(databases, found, *crypt)
        steps += plan.bases(databases, self.server.bases(databases))
        logins = self.wished["logins"]
        may = {login["name"]: self.server.answer(postgresql_logins.question(login)) for login in logins}
        steps += postgresql_logins.steps(logins, may, *crypt)
        for step in steps:
            self.steps.append(step.what)
            if not self.check:
                self.server.sql(step.sql + ";", step.database)

    def look(self) -> None:
        """See from outside that what was asked for is what is there."""
        if self.check or not LOCAL & set(self.wished["listen"]):
            return
        for database in self.wished["databases"]:
            if database.get("password"):
                self.server.log_in(database)


def put_back(path: Path, text: Optional[str]) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write(path, text)


def main() -> None:
    """Check the wishes, find the server, do the work."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    wished = module.params
    for database in wished["databases"]:
        database["password"] = wished["passwords"].get(database["name"])
    for login in wished["logins"]:
        login["password"] = wished["login_passwords"].get(login["name"])
    problems = plan.problems(wished["databases"], wished["allow"], wished["settings"])
    problems += postgresql_logins.problems(wished["logins"], [database["owner"] for database in wished["databases"]])
    if problems:
        module.fail_json(msg="; ".join(problems))
    if os.geteuid() != 0:
        module.fail_json(msg="only root may become the server's superuser: the play needs `become: true`")
    if not os.path.exists("/usr/bin/pg_lsclusters"):
        if module.check_mode:
            module.exit_json(changed=True, steps=["set up PostgreSQL once it is installed"], pending=[], overridden=[])
        module.fail_json(msg="Debian's PostgreSQL is not installed: install package postgresql, as the role does")
    try:
        setup = Setup(wished, Server(find(wished["port"])), module.check_mode)
        setup.run()
        down = module.check_mode and not setup.server.cluster.running
        overridden = [] if down else setup.server.overridden(setup.conf, list(setup.settings))
    except (Trouble, ValueError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    for line in overridden:
        module.warn(f"postgresql: a later file wins over this setting of Ferryman's: {line}")
    for said in setup.later():
        module.warn(f"postgresql: {said}; the next run looks again")
    if setup.pending:
        module.warn(f"postgresql: these settings wait for a restart: {', '.join(setup.pending)}")
    module.exit_json(changed=bool(setup.steps), version=setup.server.cluster.version, memory=setup.memory,
                     settings=setup.settings, steps=setup.steps, pending=setup.pending, overridden=overridden,
                     diff=setup.diffs)  # fmt: skip


if __name__ == "__main__":
    main()
