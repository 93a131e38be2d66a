"""Reading journald: the units of an environment's sites, the database's, and Ferryman's own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries, timeline, tracebacks
from ansible_collections.ferryman.ops.plugins.module_utils.logs.entries import Entry, Wanted
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import unit_parts

FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,COREDUMP_UNIT"
DATABASE = ("postgresql@*.service", "postgresql.service")
SYSTEM = ("ferryman-*", "nginx.service")
OWN = "system"


class Journal:
    """journald on this host, as far as it is about `sites` (the name of each on the host: its application)."""

    def __init__(self, sites: Mapping[str, str]) -> None:
        self.sites = sites
        self.turns = {site: timeline.of_site(site) for site in sites}

    def command(self, wanted: Wanted, *more: str) -> list[str]:
        """Return the call of journalctl, empty where nothing of it is wanted; it hears all that it has an index for."""
        units = self._units(wanted)
        words = ["journalctl", "--output=json", "--all", "--quiet", "--no-pager", f"--output-fields={FIELDS}", *more]
        words += [f"--since=@{wanted.since:.6f}"] if wanted.since is not None else []
        words += [f"--until=@{wanted.until:.6f}"] if wanted.until is not None else []
        return words + [f"--unit={unit}" for unit in units] if units else []

    def _units(self, wanted: Wanted) -> list[str]:
        process = wanted.process or "*"
        sites = [site for site, app in self.sites.items() if wanted.app in ("", app)]
        own = [f"{site}-{process}{end}" for site in sites for end in ("@*", ".service")]
        others = {"database": DATABASE, OWN: SYSTEM}
        if wanted.app:
            return own
        return own + [unit for word, units in others.items() if wanted.process in ("", word) for unit in units]

    def origin(self, record: Mapping[str, Any]) -> Optional[dict[str, str]]:
        """Return where a record comes from; nothing where it is another environment's on the same host."""
        # What systemd says of a unit carries its name elsewhere, and its own as the sender.
        told = (entries.words(record.get(key)) for key in ("COREDUMP_UNIT", "UNIT", "_SYSTEMD_UNIT"))
        unit = next(filter(None, told), "")
        parts = unit_parts(unit)
        if parts and parts["site"] in self.sites:
            at = int(record["__REALTIME_TIMESTAMP"])
            release = timeline.release_at(self.turns[parts["site"]].get(parts["slot"], []), at)
            return {**parts, "app": self.sites[parts["site"]], "release": release, "unit": unit}
        if unit.startswith("postgresql"):
            return {"process": "database", "unit": unit}
        if unit.startswith("ferryman-") or unit == "nginx.service":
            return {"process": OWN, "unit": unit}
        return None

    def entry(self, record: Mapping[str, Any]) -> Optional[Entry]:
        """Return the entry for a record; nothing for what is not ours or has no words."""
        origin = self.origin(record)
        if origin is None:
            return None
        known = {key: value for key, value in origin.items() if key != "site"}
        return entries.of_journal(record, known)

    def newest(self, wanted: Wanted) -> Iterator[tuple[str, Optional[Entry]]]:
        """Return what is there, the newest first, each with its cursor; nothing in the place of what is not ours."""
        yield from tracebacks.backwards(self._read(self.command(wanted, "--reverse")))

    def after(self, cursor: str, wanted: Wanted) -> Iterator[tuple[str, Optional[Entry]]]:
        """Return what came after a cursor (of `newest` or `after`), in order."""
        wanted = replace(wanted, since=None) if cursor else wanted  # journalctl takes one beginning
        words = [f"--after-cursor={cursor}"] if cursor else []
        yield from tracebacks.forwards(self._read(self.command(wanted, *words)))

    def units(self) -> list[str]:
        """Return the units that ever wrote and are still in the log."""
        words = ["journalctl", "--quiet", "--no-pager", "--field=_SYSTEMD_UNIT"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()

    def _read(self, command: Sequence[str]) -> Iterator[tuple[str, Optional[Entry]]]:
        if not command:
            return
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            try:
                for line in process.stdout or ():
                    record = json.loads(line)
                    yield str(record["__CURSOR"]), self.entry(record)
            finally:
                process.kill()  # whoever has read enough does not wait for the rest
