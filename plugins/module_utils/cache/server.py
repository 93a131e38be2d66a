"""The cache of a host as it runs: its unit, a way in for root, and a snapshot that it takes by itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.cache.client import Client, Refusal, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.cache.engines import Engine

FORMAT = 1
FACTS = "/etc/ferryman/cache.json"
LOGIN = "/etc/ferryman/cache/login"
USER = "ferryman"  # the account of root on this host; applications have the server's own, `default`
HERE = "127.0.0.1"
SAVE_S = 3600
POLL_S = 0.1


def run(words: list[str], user: str = "root") -> str:
    """Run a program, as an account of this host; return what it printed, or raise with its last words."""
    argv = words if user == "root" else ["runuser", "-u", user, "--", *words]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Trouble(f"{os.path.basename(words[0])} ended with {done.returncode}: {' '.join(said[-3:])}")
    return done.stdout


class Server:
    """The cache of this host, on a port of loopback."""

    def __init__(self, engine: Engine, port: int) -> None:
        self.engine, self.port = engine, port

    # Its unit

    def is_active(self) -> bool:
        words = ["systemctl", "is-active", "--quiet", self.engine.unit]
        return subprocess.run(words, check=False).returncode == 0

    def start(self) -> None:
        """Start it, and wait until it has read its snapshot."""
        self._act("start")

    def stop(self) -> None:
        """Stop it; what it holds is written first, also where no other rule would have it written."""
        with contextlib.suppress(Trouble), self.client() as client:
            client.ask("CONFIG", "SET", "save", "86400 1")  # without any it would write nothing at its end
        self._act("stop")

    def restart(self) -> None:
        self.stop()
        self.start()

    def _act(self, verb: str) -> None:
        try:
            run(["systemctl", verb, self.engine.unit])
        except Trouble:
            words = ["journalctl", "--quiet", "--no-pager", "-o", "cat", "-n", "6", "-u", self.engine.unit]
            said = " ".join(run(words).split())
            raise Trouble(f"{self.engine.unit} did not {verb}: {said[-400:]}; look at `journalctl -u`") from None

    # What it says

    def client(self) -> Client:
        """Return a connection that may do everything."""
        with open(LOGIN, encoding="ascii") as file:
            password = file.read().strip()
        client = Client((HERE, self.port))
        try:
            return client.log_in(USER, password)
        except Trouble:
            client.close()
            raise

    def save(self) -> None:
        """Have it write a snapshot of this moment, and wait until it has."""
        with self.client() as client:
            before = self._apart(client)
            self._begin(client)
            for told in _persistence(client):
                if told["rdb_bgsave_in_progress"] == "0":
                    break
            if told["rdb_last_bgsave_status"] != "ok" or int(client.ask("LASTSAVE")) <= before:
                raise Trouble(
                    f"the snapshot could not be written ({told['rdb_last_bgsave_status']}), most often since a disk is "
                    f"full: `journalctl -u {self.engine.unit}` says why"
                )

    @staticmethod
    def _apart(client: Client) -> int:
        """Return when the last snapshot was written, once another would show: the server counts whole seconds."""
        while True:
            last, now = int(client.ask("LASTSAVE")), int(client.ask("TIME")[0])
            if now > last:
                return last
            time.sleep(POLL_S)

    @staticmethod
    def _begin(client: Client) -> None:
        """Begin a snapshot; one that others began may lack what was written since, so it is waited for first."""
        for told in _persistence(client):
            if told["rdb_bgsave_in_progress"] == "0":
                try:
                    client.ask("BGSAVE")
                    return
                except Refusal as refusal:
                    if "in progress" not in str(refusal):
                        raise


def _persistence(client: Client) -> Iterator[dict[str, str]]:
    """Yield what the server says of its snapshots, again and again; Trouble once that has taken too long."""
    until = time.monotonic() + SAVE_S
    while time.monotonic() < until:
        yield client.info("persistence")
        time.sleep(POLL_S)
    raise Trouble(f"a snapshot took more than {SAVE_S} s: look at the disk of the cache")


def told() -> dict[str, Any]:
    """Return what is known of this host's cache without asking it (name, engine, port); empty where there is none."""
    try:
        with open(FACTS, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}


def written(known: dict[str, Any]) -> str:
    """Return the text of what `told` reads."""
    return json.dumps(known, indent=1) + "\n"


def of_host() -> Server:
    """Return the cache of this host."""
    known = told()
    if not known:
        raise Trouble("this host has no cache of Ferryman's: name it in group `cache`, and provision")
    return Server(Engine(known["engine"]), known["port"])
