#!/usr/bin/python
"""Bring the archive of an environment to its state on this host, and reach what it archives."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_setup
short_description: Bring the archive of an environment to its state
description:
  - Writes settings, secrets, Barman's configuration and the program that timers run.
  - Installs Barman in an environment of its own.
  - Then logs in to the source as the archive will, and says what it lacks.
options:
  name: {description: "The archive's name, that of the environment.", type: str, required: true}
  path: {description: Directory below which archives lie., type: path, required: true}
  sets: {description: The sets that this host takes., type: list, elements: str, required: true}
  database:
    description: Where the database is and who logs in.
    type: dict
    required: true
    options:
      host: {description: Name or address., type: str, required: true}
      port: {description: TCP port., type: int, required: true}
      user: {description: Role., type: str, required: true}
  database_password: {description: Its password., type: str, required: true}
  database_rate:
    description: MB that a base backup reads in a second at most; 0 is no limit, V(auto) goes by size and schedule.
    type: str
    default: auto
  synchronous: {description: Whether commits are to wait for this host., type: bool, required: true}
  keep_days: {description: Days that every set is kept., type: int, required: true}
  keep_years: {description: 'Years that the first of each month is kept, by set.', type: dict, required: true}
  keep_free_bytes: {description: Bytes that must stay free., type: int, required: true}
  every_s: {description: Seconds between two backups., type: int, required: true}
  wal_lag_s: {description: Seconds that the stream may be behind., type: int, required: true}
  full_days: {description: A disk that is full in fewer days is told., type: int, required: true}
  drill_days: {description: Days after which a drill is too old., type: int, required: true}
  full_drill_days: {description: The same of a full drill; 0 asks for none., type: int, default: 0}
  sealed: {description: Whether the database's archive is encrypted., type: bool, default: false}
  wal_archive: {description: Whether the source sends files of WAL beside the stream., type: bool, default: false}
  requirements: {description: "Hashed requirements of Barman's environment.", type: str, required: true}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change; reaches for nothing.}
"""

EXAMPLES = r"""
- name: Keep the archive of prod
  ferryman.ops.backup_setup:
    name: prod
    path: /srv/backups
"""

RETURN = r"""
paths: {description: The files and directories that changed., type: list, elements: str, returned: success}
version: {description: Version of the source., type: str, returned: when it was reached}
"""

import os
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    command,
    drill,
    pace,
    postgres,
    records,
    retention,
    sealed,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.host import program

KEPT = ("path", "sets", "database_rate", "synchronous", "keep_days", "keep_years", "keep_free_bytes", "every_s",
        "wal_lag_s", "full_days", "drill_days", "full_drill_days")  # fmt: skip
RECEIVER = """#!/bin/sh
# Written by Ferryman (role backup). Barman asks at its start alone whether commits wait; they may begin to later.
exec {programs}/pg_receivewal "$@" --synchronous
"""
LINKED = ("pg_basebackup", "pg_verifybackup", "psql")
CONF = """\
; Written by Ferryman (role backup); changes here are lost. Retention is not Barman's here.
[barman]
barman_user = {user}
barman_home = {home}/barman
configuration_files_directory = {home}/barman/servers
log_level = WARNING

[database]
description = the database of {name}
backup_directory = {home}/database
conninfo = {conninfo}
backup_method = postgres
streaming_archiver = on
slot_name = {slot}
path_prefix = {beside}
immediate_checkpoint = true
"""


class Setup:
    """One run: what was wished, and what was different."""

    def __init__(self, wished: dict[str, Any], pretend: bool) -> None:
        self.wished, self.pretend, self.place = wished, pretend, Placing(pretend)
        self.name, self.home = wished["name"], os.path.join(wished["path"], wished["name"])
        self.secrets = f"{archive.SETTINGS}/{self.name}"
        self.paths = self.place.paths
        source = wished["database"]
        self.conninfo = (
            f"host={source['host']} port={source['port']} user={source['user']} sslmode=require "
            f"channel_binding=require connect_timeout=10 passfile={self.secrets}/database.pass"
        )

    def run(self) -> dict[str, Any]:
        self.directories()
        password = self.wished["database_password"].replace("\\", "\\\\").replace(":", "\\:")
        self.place.file(f"{self.secrets}/database.pass", f"*:*:*:*:{password}\n", 0o600, owner=archive.USER)
        self.place.file(archive.REQUIREMENTS, self.wished["requirements"])
        for path, text, mode in program.library(program.needed(command)):
            self.place.file(path, text, mode)
        self.place.file(archive.PROGRAM, program.launcher(command), 0o755)
        if self.pretend:
            return {}
        if not os.path.exists(drill.key(self.name)):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"drills of {self.name}"]
            archive.run([*words, "-f", drill.key(self.name)], user="root")
            self.paths.append(drill.key(self.name))
        program.environment(archive.BARMAN, archive.REQUIREMENTS, "barman")
        facts = postgres.facts(self.conninfo)
        slow = pace.problem(self.wished["database_rate"], facts["bytes"], self.wished["every_s"])
        if slow:
            raise records.Trouble(slow)
        programs = os.path.dirname(postgres.program(facts["number"] // 10000, "pg_verifybackup"))
        self.settings(programs, self.beside(programs))
        return {"version": facts["version"]}

    def directories(self) -> None:
        for path, mode, owner in (
            (archive.SETTINGS, 0o755, "root"),
            (self.secrets, 0o700, archive.USER),
            (self.wished["path"], 0o755, "root"),
            (self.home, 0o755, "root"),
            (f"{self.home}/barman", 0o700, archive.USER),
            (f"{self.home}/barman/servers", 0o700, archive.USER),
            *([] if self.wished["sealed"] else [(f"{self.home}/database", 0o700, archive.USER)]),
            (f"{self.home}/records", 0o755, "root"),
        ):
            if not os.path.isdir(path):
                self.paths.append(path)
                if not self.pretend:
                    os.makedirs(path, mode=mode)
                    os.chmod(path, mode)
                    shutil.chown(path, owner, owner)

    def beside(self, programs: str) -> str:
        """Have PostgreSQL's programs where Barman looks for them, the receiver as it is to be called."""
        directory = f"/usr/local/lib/ferryman/postgresql-{programs.split('/')[-2]}"
        self.place.file(f"{directory}/pg_receivewal", RECEIVER.format(programs=programs), 0o755)
        for name in LINKED:
            if not os.path.islink(f"{directory}/{name}"):
                self.paths.append(f"{directory}/{name}")
                os.symlink(f"{programs}/{name}", f"{directory}/{name}")
        return directory

    def settings(self, programs: str, beside: str) -> None:
        """Write what depends on the source."""
        slot = f"ferryman_{self.name.replace('-', '_')}"
        database = {"conninfo": self.conninfo, "slot": slot, "programs": programs, **self.wished["database"]}
        words = {
            "user": archive.USER,
            "home": self.home,
            "name": self.name,
            "conninfo": f"{self.conninfo} dbname=postgres",
        }
        text, both = CONF.format(**words, slot=slot, beside=beside), f"{archive.SETTINGS}/{self.name}.archiver.conf"
        self.place.file(f"{archive.SETTINGS}/{self.name}.conf", text)
        if self.wished["wal_archive"]:
            self.place.file(both, f"{text}archiver = on\n")
        elif os.path.exists(both):
            self.paths.append(both)
            os.unlink(both)
        told = {"format": 1, "name": self.name, **{key: self.wished[key] for key in KEPT}, "database": database}
        told |= {key: True for key in ("sealed", "wal_archive") if self.wished[key]}
        self.place.file(f"{archive.SETTINGS}/{self.name}.json", records.written(told))


def problems(wished: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences."""
    found = retention.problems(retention.Rule(wished["keep_days"], wished["keep_years"]))
    if not archive.NAME.fullmatch(wished["name"]):
        found.append(f"backup_name: {wished['name']!r} is no name of an environment")
    if not wished["database"]["host"]:
        found.append("backup_database_host: it must say where the database is")
    if not pace.FORM.fullmatch(wished["database_rate"]):
        found.append(f"backup_database_rate: {wished['database_rate']!r} is neither MB a second (0 to 1000) nor auto")
    if not wished["database_password"]:
        found.append("backup_database_password: the login at the database wants one")
    place = sealed.Place(wished["name"], os.path.join(wished["path"], wished["name"]))
    if os.path.isdir(place.kept) and not wished["sealed"]:
        found.append(
            f"backup_database_passphrase: {place.kept} is encrypted, so it is wanted; to begin anew in clear, move "
            f"{place.home} aside first"
        )
    return found


def main() -> None:
    """Refuse what is wrong, write, install, and reach the source."""
    required = {"required": True}
    integer = {"type": "int", **required}
    module = AnsibleModule(
        argument_spec={
            "name": required,
            "path": {"type": "path", **required},
            "sets": {"type": "list", "elements": "str", **required},
            "database": {"type": "dict", **required, "options": {"host": required, "port": integer, "user": required}},
            "database_password": {"no_log": True, **required},
            "database_rate": {"default": pace.AUTO},
            "synchronous": {"type": "bool", **required},
            "keep_years": {"type": "dict", **required},
            **dict.fromkeys([key for key in KEPT if key.startswith("keep_") and key != "keep_years"], integer),
            **dict.fromkeys(("every_s", "wal_lag_s", "full_days", "drill_days"), integer),
            "full_drill_days": {"type": "int", "default": 0},
            "sealed": {"type": "bool", "default": False},
            "wal_archive": {"type": "bool", "default": False},
            "requirements": required,
        },
        supports_check_mode=True,
    )
    wrong = problems(module.params)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    setup = Setup(module.params, module.check_mode)
    try:
        more = setup.run()
    except (records.Trouble, program.NotInstalled) as error:
        module.fail_json(msg=str(error), changed=bool(setup.paths))
    except OSError as error:
        module.fail_json(msg=f"cannot write {error.filename}: {error.strerror}")
    module.exit_json(changed=bool(setup.paths), paths=setup.paths, **more)


if __name__ == "__main__":
    main()
