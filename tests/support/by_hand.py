"""A person who restores the database by hand: types the guide's lines, as root on the two hosts."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import site as sites
from tests.support.pages import blocks

from ferryman.sandbox.access import USER

MOMENT = "2026-11-26T09:00:00Z"
KEY = "/root/.ssh/by-hand"
# The archive's host lets nobody in as root: who reads there by rsync goes through sudo.
LET_IN = 'restrict,command="sudo sh -c \\"$SSH_ORIGINAL_COMMAND\\"" {key}'


def block(page: Path, having: str) -> list[str]:
    """Return the lines of the one block of a guide that has these words."""
    (lines,) = (told.lines for told in blocks(page, "text") if having in told.text)
    return lines


class Hands:
    """Somebody with the guide at a pair of hosts, whose archive listens for SSH on a port."""

    def __init__(self, page: Path, pair: Any, archive: str, port: int) -> None:
        self.page, self.pair, self.archive, self.port = page, pair, archive, port
        self.version = pair.on(sites.HOST, "ls /etc/postgresql").decode().strip()

    def type(self, host: str, lines: list[str], *, moment: str = MOMENT, seconds: float = 120) -> None:
        """Type lines of the guide with the names that are theirs here; the first that fails is the last."""
        text = "\n".join(lines).replace("prod", sites.ENV).replace(MOMENT, moment)
        text = text.replace("@15-", f"@{self.version}-").replace("/15/", f"/{self.version}/")
        self.pair.on(host, f"set -e\n{text}", seconds=seconds)

    def restore(self, moment: str = "", *, seconds: float = 120) -> None:
        """Restore on the archive's host: to a moment, or to the last that was streamed."""
        lines = block(self.page, "barman restore --target-time")
        if not moment:
            lines[-1:] = block(self.page, "barman restore --target-tli")
        self.type(self.archive, lines, moment=moment, seconds=seconds)
        self.type(self.archive, block(self.page, "database/streaming/*"))

    def serve(self, *, lost: bool = False, seconds: float = 120) -> None:
        """Serve from it, in the place of what serves, or of what was lost; there must be a `way`."""
        lines = block(self.page, "mv /var/lib/postgresql")
        if lost:
            lines[1:2] = block(self.page, "install -d -o postgres")
        self.type(sites.HOST, lines, seconds=seconds)

    def follow(self) -> None:
        """Have the stream follow the history that began, and what was restored on the archive's host gone."""
        self.type(self.archive, block(self.page, "systemctl restart ferryman-backup"))

    @contextmanager
    def way(self) -> Iterator[None]:
        """Let root of the database's host read the archive's files by rsync, as the reader is taken to have it."""
        config = f"Host backup1\\nHostName {self.archive}\\nPort {self.port}\\nUser {USER}\\nIdentityFile {KEY}\\n"
        made = f"install -d -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f {KEY}; cat {KEY}.pub; "
        known = f"printf '{config}StrictHostKeyChecking accept-new\\n' > /root/.ssh/config"
        key = self.pair.on(sites.HOST, made + known).decode().strip()
        keys = f"~{USER}/.ssh/authorized_keys"
        for host in (self.archive, sites.HOST):
            self.pair.on(host, "command -v rsync || apt-get install -y -q rsync")
        self.pair.on(self.archive, f"printf '%s\\n' {shlex.quote(LET_IN.format(key=key))} >> {keys}")
        try:
            yield
        finally:
            self.pair.on(self.archive, f"sed -i /{key.split()[1].replace('/', '.')}/d {keys}")
            self.pair.on(sites.HOST, f"rm -f {KEY} {KEY}.pub /root/.ssh/config")
