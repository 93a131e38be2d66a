"""Waiting for the lock on the arbiter, in line with all others who may: by sessions that come and go."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import arbiter, lock
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, now, read_json

BEAT_S = 15.0
"""How long somebody who waits keeps his place without a sign of life: some sessions' time, on a busy machine."""
PAUSE_S = 0.5


def wait(host: Host, *, owner: str, purpose: str, lease_s: float, for_s: float) -> dict[str, Any]:
    """Stand in line for up to `for_s` seconds. Return nothing once the lock is this run's, else whom it waits for.

    That is {owner, purpose, since, until, before, said}: who holds the lock, or comes first, how many of those who wait
    come before this run, and a sentence. Its place is kept for BEAT_S from then on.
    """
    queued, over = host.site.arbiter / "queue.json", time.monotonic() + for_s
    while True:
        with arbiter.alone(host):
            queue = lock.line_up(read_json(queued), now(), run=host.run_id, owner=owner, purpose=purpose, beat_s=BEAT_S)
            arbiter.keep(queued, queue)
        try:
            arbiter.attempt(host, owner=owner, purpose=purpose, lease_s=lease_s)
            return {}
        except lock.Held as held:
            who, said = held.lock, str(held)
        except lock.Behind as behind:
            who, said = behind.tickets[0], str(behind)
        if time.monotonic() >= over:
            told = {key: str(who.get(key, "")) for key in ("owner", "purpose", "since", "until")}
            return {**told, "before": len(lock.before(queue, now(), run=host.run_id)), "said": said}
        time.sleep(PAUSE_S)


def step_out(host: Host) -> None:
    """Wait no longer: whoever stands behind comes one place forward at once."""
    queued = host.site.arbiter / "queue.json"
    with arbiter.alone(host):
        arbiter.keep(queued, lock.step_out(read_json(queued), run=host.run_id))
