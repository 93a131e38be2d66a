"""What every request gets: an id, the release in its answer, and one line in the log."""

import re
import secrets
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from notes import log, settings

GIVEN = re.compile(rb"[A-Za-z0-9._-]{8,128}")
QUIET = ("/health", "/health/ready")


class Requests:
    """Plain ASGI, since the framework's own kind of middleware buffers and costs more than the rest of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        name = given if GIVEN.fullmatch(given) else secrets.token_hex(16).encode()
        log.request_id.set(name.decode())
        extra = [(b"x-release", settings.release().encode()), (b"x-request-id", name)]
        status, started = 500, time.monotonic()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            if scope["path"] not in QUIET or status >= 500:
                _line(scope, status, started)


def _line(scope: Scope, status: int, started: float) -> None:
    fields: dict[str, Any] = {"method": scope["method"], "path": scope["path"], "status": status}
    log.info("request", **fields, duration_ms=round((time.monotonic() - started) * 1000, 1))
