#!/usr/bin/python
"""Bring the cache of a host to its state: settings, passwords, its unit."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_setup
short_description: Bring the cache of a host to its state
description:
  - Runs an instance of Debian's own template unit, beside whatever the package runs by itself.
  - A running server is asked what is in force, and told what is to be. It restarts only for what it can't take while
    it runs, with all that it holds.
  - The password reaches no argument, no environment and no log; on the disk lies its SHA-256 alone.
options:
  name: {description: Whose cache it is; another's is refused., type: str, required: true}
  password: {description: What applications log in with., type: str, required: true}
  addresses:
    description: Private addresses of this host to listen on, beside loopback.
    type: list
    elements: str
    default: []
  port: {description: The port to listen on., type: int, default: 6379}
  memory_mb: {description: MB that keys and values may take., type: int, required: true}
  eviction: {description: What goes where they would take more., type: str, required: true}
  snapshots:
    description: When a snapshot is written by itself.
    type: list
    elements: dict
    default: []
    options:
      after_s: {description: Seconds after which one is written ..., type: int, required: true}
      changes: {description: ... where at least so many keys have changed., type: int, required: true}
  settings: {description: Further settings by name., type: dict, default: {}}
author: [The Ferryman authors]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Have a cache
  ferryman.ops.cache_setup:
    name: prod
    password: "{{ vault_cache_password }}"
    memory_mb: 128
    eviction: allkeys-lru
"""

RETURN = r"""
engine: {description: valkey or redis., type: str, returned: success}
steps: {description: What was done, in words., type: list, elements: str, returned: success}
"""

import os
import secrets
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.cache import engines, server, settings
from ansible_collections.ferryman.ops.plugins.module_utils.cache.client import Client, Refusal, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.postgresql_server import memory

SNAPSHOT = {"after_s": {"type": "int", "required": True}, "changes": {"type": "int", "required": True}}
SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True, "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int", "default": 6379},
    "memory_mb": {"type": "int", "required": True},
    "eviction": {"type": "str", "required": True},
    "snapshots": {"type": "list", "elements": "dict", "options": SNAPSHOT, "default": []},
    "settings": {"type": "dict", "default": {}},
}


class Setup:
    """One run: what was wished, what was found, what was done."""

    def __init__(self, wished: dict[str, Any], check: bool) -> None:
        self.wished, self.check = wished, check
        self.engine = engines.of_host()
        self.server = server.Server(self.engine, server.told().get("port", wished["port"]))
        self.wanted = settings.directives(wished)
        self.place = Placing(check)
        self.before = read(self.engine.settings)
        self.steps: list[str] = []

    def run(self) -> None:
        """Tell the running server first, since it refuses what it can't take; then write, then start or restart."""
        owner = server.told().get("name", self.wished["name"])
        if owner != self.wished["name"]:
            raise Trouble(
                f"this host's cache is that of {owner}, and not of {self.wished['name']}: give that one a host of its "
                f"own; where {owner} is gone for good, remove {server.FACTS}"
            )
        login = self.login()
        digests = {"default": settings.digest(self.wished["password"]), server.USER: settings.digest(login)}
        restart = False
        if self.server.is_active():
            restart = self.tell(digests)
        self.files(digests)
        self.units(restart=restart)
        if not self.check:
            self.look()

    def login(self) -> str:
        """Return root's own way in, made once on this host."""
        for directory in (os.path.dirname(server.FACTS), os.path.dirname(server.LOGIN)):
            self.place.directory(directory, 0o700 if directory.endswith("cache") else 0o755)
        try:
            with open(server.LOGIN, encoding="ascii") as file:
                return file.read().strip()
        except FileNotFoundError:
            made = secrets.token_urlsafe(32)
            self.place.file(server.LOGIN, f"{made}\n", 0o600)
            return made

    def tell(self, digests: dict[str, str]) -> bool:
        """Bring what a running server can take while it runs into force; return whether it has to restart."""
        try:
            client = self.server.client()
        except Trouble:  # it has read other settings than those that lie there
            return True
        with client:
            found = client.config(list(self.wanted))
            other, unknown = settings.differing(self.wanted, found), sorted(self.wanted.keys() - found.keys())
            if unknown:
                raise Trouble(f"cache_settings: {self.engine.name} has no {', '.join(unknown)}: remove it")
            strangers = [name for name, digest in digests.items() if not knows(client, name, digest)]
            self.steps += [f"set {name}" for name in other] + [f"a password for {name}" for name in strangers]
            if self.check:
                return False
            for name in strangers:
                client.ask("ACL", "SETUSER", name, *settings.rights(digests[name]).split())
            return not all(list(map(partial(self.take, client), other)))

    def take(self, client: Client, name: str) -> bool:
        """Bring one setting into force; return whether the server could take it while it runs."""
        try:
            client.ask("CONFIG", "SET", name, self.wanted[name])
        except Refusal as refusal:
            if "immutable" not in str(refusal):
                raise Trouble(
                    f"{self.engine.name} refuses {name} {self.wanted[name]}: {refusal}; take another value"
                ) from None
            return False
        if name == "port":
            self.server.port = self.wished["port"]
        return True

    def files(self, digests: dict[str, str]) -> None:
        """Write settings, where they can be read by who serves alone, and what others may know of them."""
        facts = {
            "format": server.FORMAT,
            "name": self.wished["name"],
            "engine": self.engine.name,
            "port": self.wished["port"],
        }
        if not self.check or os.path.isdir(os.path.dirname(self.engine.settings)):
            self.place.directory(self.engine.data, 0o750, self.engine.user)
            written = settings.text(self.wanted, self.engine, digests)
            self.place.file(self.engine.settings, written, 0o400, self.engine.user)
        self.place.file(server.FACTS, server.written(facts))
        self.steps += [f"write {path}" for path in self.place.paths]

    def units(self, *, restart: bool) -> None:
        """Have the unit enabled and running with these settings; with what it read before, where it does not start."""
        if not is_enabled(self.engine.unit):
            self.steps.append(f"enable {self.engine.unit}")
            if not self.check:
                server.run(["systemctl", "enable", "--quiet", self.engine.unit])
        active = self.server.is_active()
        if active and not restart:
            return
        self.steps.append(f"{'restart' if active else 'start'} {self.engine.unit}")
        if self.check:
            return
        try:
            self.server.restart()
        except Trouble:
            self.put_back(active)
            raise
        self.server.port = self.wished["port"]

    def put_back(self, served: bool) -> None:
        """Let it run as before, where it did; else have nothing try again and again."""
        if served and self.before:
            self.place.file(self.engine.settings, self.before, 0o400, self.engine.user)
            self.server.restart()
        else:
            server.run(["systemctl", "stop", self.engine.unit])

    def look(self) -> None:
        """See from outside that who has the password gets in everywhere, and that what is wanted is in force."""
        for address in (server.HERE, *self.wished["addresses"]):
            with Client((address, self.wished["port"])) as client:
                client.log_in("default", self.wished["password"])
                other = settings.differing(self.wanted, client.config(list(self.wanted)))
        if other:
            raise Trouble(
                f"{self.engine.unit} has other settings than it was told ({', '.join(other)}): look at "
                "`systemctl cat`, somebody may start it with words of his own"
            )


def knows(client: Client, user: str, digest: str) -> bool:
    """Return whether an account has this password and no other."""
    told = client.ask("ACL", "GETUSER", user)
    return bool(told) and dict(zip(told[::2], told[1::2])).get("passwords") == [digest]


def is_enabled(unit: str) -> bool:
    """Return whether a unit begins with the host."""
    try:
        return server.run(["systemctl", "is-enabled", unit]).strip() == "enabled"
    except Trouble:
        return False


def read(path: str) -> str:
    """Return the text of a file, empty where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def main() -> None:
    """Check the wishes, do the work, and say in one sentence what went wrong."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    problems = settings.problems(module.params, memory())
    if problems:
        module.fail_json(msg="; ".join(problems))
    try:
        setup = Setup(module.params, module.check_mode)
        setup.run()
    except Trouble as trouble:
        module.fail_json(msg=str(trouble))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(changed=bool(setup.steps), engine=setup.engine.name, steps=setup.steps)


if __name__ == "__main__":
    main()
