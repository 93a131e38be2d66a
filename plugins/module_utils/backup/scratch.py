"""A server of its own on restored files: no port, a socket that its owner alone reaches, gone when it is ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from contextlib import closing
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, manifest, postgres
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble

WAIT_S = 3600
JOBS = 8  # tables and indexes that are looked at side by side: fewer than a server has connections
# A server that recovers needs at least what its source had of these; the restored files say how much that was.
SIZES = ("max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_xacts", "max_locks_per_xact")
NAMES = {"max_prepared_xacts": "max_prepared_transactions", "max_locks_per_xact": "max_locks_per_transaction"}
# What the source was told by ALTER SYSTEM came along with its files, and is not for this server.
APART = {
    "listen_addresses": "", "synchronous_standby_names": "", "archive_mode": "off", "ssl": "off",
    "shared_preload_libraries": "", "primary_conninfo": "", "shared_buffers": "64MB", "logging_collector": "off",
    "log_min_messages": "warning", "hot_standby": "on", "autovacuum": "off",
}  # fmt: skip

# Who else comes so far, an application in a drill, logs in as it does at the source.
HBA = "local all postgres trust\nlocal all all scram-sha-256\n"


class Scratch:
    """Restored files in `directory`/data, and the server on them."""

    def __init__(self, directory: str, programs: str) -> None:
        self.directory, self.programs = directory, programs
        self.data, self.socket, self.log = f"{directory}/data", f"{directory}/socket", f"{directory}/log"
        self.conninfo = f"host={self.socket} user=postgres"

    def make(self) -> str:
        """Make the place anew, and return where files are to be restored to."""
        self.end()
        for path in (self.directory, self.socket):
            os.makedirs(path, mode=0o700)
            shutil.chown(path, archive.USER, archive.USER)
        for name, text in (("hba.conf", HBA), ("ident.conf", ""), ("main.conf", "")):
            with open(f"{self.directory}/{name}", "w", encoding="ascii") as file:
                file.write(text)
        return self.data

    def start(self, **settings: str) -> None:
        """Start the server; return once it answers, or raise with what it wrote down."""
        told = {
            "config_file": f"{self.directory}/main.conf", "hba_file": f"{self.directory}/hba.conf",
            "ident_file": f"{self.directory}/ident.conf", "unix_socket_directories": self.socket,
            **APART, **self._sizes(), **settings,
        }  # fmt: skip
        options = " ".join(f"-c {name}='{value}'" for name, value in told.items())
        words = ["-D", self.data, "-w", "-t", str(WAIT_S), "-s", "-l", self.log, "-o", options]
        try:
            archive.run([f"{self.programs}/pg_ctl", *words, "start"])
        except Trouble:
            raise Trouble(f"the restored server did not start: {self.last_words()}") from None

    def _sizes(self) -> dict[str, str]:
        said = archive.run([f"{self.programs}/pg_controldata", "-D", self.data])
        found = {name: re.search(rf"^{name} setting:\s+(\d+)", said, re.MULTILINE) for name in SIZES}
        return {NAMES.get(name, name): match[1] for name, match in found.items() if match}

    def wait_for(self, query: str) -> None:
        """Wait until a query of the server says t."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            try:
                with closing(postgres.Session(self.conninfo, "postgres")) as session:
                    if session.ask(query) == "t":
                        return
            except Trouble:
                if not self.runs():
                    raise Trouble(f"the restored server ended: {self.last_words()}") from None
            time.sleep(0.1)
        raise Trouble(f"the restored server did not get there in {WAIT_S} s: look at {self.log}")

    def runs(self) -> bool:
        try:
            archive.run([f"{self.programs}/pg_ctl", "-D", self.data, "status"])
        except Trouble:
            return False
        return True

    def last_words(self) -> str:
        """Return what went wrong, as the server wrote it down."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if re.search(r"FATAL|PANIC|ERROR", line)]
        except OSError:
            lines = []
        return "; ".join(lines[-2:]) or "it wrote nothing down"

    def stop(self) -> None:
        with contextlib.suppress(Trouble):  # it may not run
            archive.run([f"{self.programs}/pg_ctl", "-D", self.data, "-s", "-m", "fast", "stop"])

    def rest(self) -> None:
        """Stop the server in a state to be moved: with the source's own settings."""
        self.stop()
        said = archive.run([f"{self.programs}/pg_controldata", "-D", self.data])
        state = re.search(r"^Database cluster state:\s+(.+)", said, re.MULTILINE)
        if not state or state[1] != "shut down":
            raise Trouble(f"the restored server did not stop as it should ({state[1] if state else said}): "
                          f"{self.last_words()}; look at {self.log}")  # fmt: skip
        told = f"{self.data}/postgresql.auto.conf"
        if os.path.exists(f"{told}.origin"):
            os.replace(f"{told}.origin", told)

    def end(self) -> None:
        """Stop the server, and remove everything."""
        if os.path.isdir(self.data):
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # Looking at what is there

    def differences(self, told: Record) -> list[str]:
        """Return what is not as a manifest tells, in sentences; one says so where the two may not be compared."""
        found: dict[str, Any] = {"databases": {}, "files": told["files"]}
        for base in postgres.databases(self.conninfo):
            with closing(postgres.Session(self.conninfo, f"'{base['name']}'")) as session:
                wanted = told["databases"].get(base["name"])
                if wanted and not self._is_there(session, manifest.snapshot(wanted["snapshot"])):
                    return [
                        f"{base['name']} holds transactions that the manifest did not see: it tells of another moment"
                    ]
                found["databases"][base["name"]] = {"tables": postgres.tables(session)}
        return [str(each) for each in manifest.compare(told, found)]

    @staticmethod
    def _is_there(session: postgres.Session, seen: manifest.Snapshot) -> bool:
        restored = manifest.snapshot(session.ask("select pg_current_snapshot()"))
        states = postgres.became_of(session, manifest.unseen_by(seen, restored))
        return manifest.comparable(seen, restored, states)

    def amcheck(self) -> list[str]:
        """Have PostgreSQL look at every table and index; return what it finds.

        The extension by which it looks is gone afterwards from where it was not before: a copy is as its source was.
        """
        without = []
        for base in postgres.databases(self.conninfo):
            with closing(postgres.Session(self.conninfo, f"'{base['name']}'")) as session:
                if session.ask("select count(*) from pg_extension where extname = 'amcheck'") == "0":
                    without.append(base["name"])
        jobs = min(os.cpu_count() or 1, JOBS)
        words = ["-h", self.socket, "-U", "postgres", "--all", "--install-missing", f"--jobs={jobs}"]
        try:
            archive.run([f"{self.programs}/pg_amcheck", *words])
        except Trouble as trouble:
            return [str(trouble)]
        for name in without:
            with closing(postgres.Session(self.conninfo, f"'{name}'")) as session:
                session.ask("drop extension if exists amcheck")
        return []
