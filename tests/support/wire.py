"""What a command cost on the way to a host: connections, sessions and bytes, as the host itself counted them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Cost:
    """`connections` and `sessions` of sshd; bytes that came in (`received`), went out (`sent`), and were `files`."""

    connections: int
    sessions: int
    received: int
    sent: int
    files: int


class Meter:
    """Counts between its making and `read`; `inside` runs a script as root on the host, beside all that is counted."""

    def __init__(self, inside: Callable[[str], str]) -> None:
        self.inside = inside
        self.before = self._bytes()
        self.cursor = inside("journalctl -n 0 --show-cursor -q | sed -n 's/^-- cursor: //p'").strip()

    def _bytes(self) -> tuple[int, int]:
        line = next(line for line in self.inside("cat /proc/net/dev").splitlines() if "eth0:" in line)
        fields = line.partition(":")[2].split()
        return int(fields[0]), int(fields[8])

    def _files(self) -> int:
        """Return the packed size of the files that came with the last release, as the host's journal has it."""
        lines = self.inside("cat /var/lib/ferryman/sites/*/journal.jsonl").splitlines()
        staged = [line for line in map(json.loads, lines) if (line["step"], line["result"]) == ("stage", "done")]
        return int(staged[-1]["detail"]["sent_bytes"])

    def read(self) -> Cost:
        """Return what happened since."""
        received, sent = self._bytes()
        log = self.inside(f"journalctl -q -o cat --after-cursor '{self.cursor}' _COMM=sshd")
        return Cost(
            connections=len(re.findall(r"^Accepted publickey ", log, re.MULTILINE)),
            sessions=len(re.findall(r"^Starting session: ", log, re.MULTILINE)),
            received=received - self.before[0],
            sent=sent - self.before[1],
            files=self._files(),
        )
