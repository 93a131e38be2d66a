"""What tests/support/histories.py puts around an ASGI application to make a bad version of it."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


def spoil(app: App, behaviour: dict[str, Any]) -> App:
    """Return `app` with faults: crash, start_s, dies_s, never_ready, errors_s."""
    born = time.monotonic()
    if behaviour.get("crash"):
        raise RuntimeError("this version cannot start: no such thing as a flux capacitor")
    if "dies_s" in behaviour:
        threading.Timer(behaviour["dies_s"], _die).start()
    time.sleep(behaviour.get("start_s", 0))

    async def faulty(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        path = scope.get("path", "")
        if behaviour.get("never_ready") and path == "/health/ready":
            await _answer(send, 503, b'{"status": "not ready"}')
        elif time.monotonic() - born >= behaviour.get("errors_s", float("inf")) and path not in ("", "/version"):
            await _answer(send, 500, b'{"error": "this version answers 500 after a while"}')
        else:
            await app(scope, receive, send)

    return faulty


def _die() -> None:
    print("fatal: notes was healthy and is now dead", file=sys.stderr, flush=True)
    os._exit(70)


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
            (b"x-release", os.environ.get("FERRYMAN_RELEASE", "unreleased").encode())]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
