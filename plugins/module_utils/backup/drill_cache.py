"""A drill of set `cache`: its file as that of any set, and then a server on it, whose keys are counted."""

from __future__ import annotations

import os

from ansible_collections.ferryman.ops.plugins.module_utils.backup import cache_take, drill
from ansible_collections.ferryman.ops.plugins.module_utils.backup.drill_files import OfFiles
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Record, Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.cache import client, contents, engines, scratch


class OfCache(OfFiles):
    """One drill of the cache."""

    def tried(self, manifest: Record, into: str) -> None:
        """Have a server read the snapshot, by the account that owns the repositories, and compare what it holds."""
        (root,) = manifest["files"]
        wanted, reader = manifest["cache"], self._server()
        if not os.path.exists(reader.engine.program):
            raise Trouble(f"{reader.engine.package} is not installed on the archive's host: provision it")
        with cache_take.told():
            scratch.require_memory(wanted["memory_bytes"])
        try:
            self.timed("start", lambda: reader.start(f"{into}{root}/{cache_take.FILE}"))
            found = self.timed("check", reader.contents)
        except client.Trouble as trouble:
            raise Trouble(
                f"{trouble}; it was written by {wanted['server']}: upgrade the archive's host to that one's Debian"
            ) from None
        self.check("cache", contents.differences(wanted, found), f"{contents.total(wanted)} keys are as they were")

    def end(self) -> None:
        """Stop the server, too."""
        self._server().end()
        super().end()

    def _server(self) -> scratch.Scratch:
        return scratch.Scratch(
            engines.of_host(),
            drill.server_name(self.own),
            f"{drill.place(self.own)}/server",
            str(self.works.place.user),
        )
