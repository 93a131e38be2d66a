"""Logs as one JSON object a line, on standard output, with the release and the request that they belong to."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from notes import settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "release": settings.release(),
            "request_id": request_id.get(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)


def setup(stream: TextIO = sys.stdout) -> None:
    """Send everything, the server's own lines too, through one handler."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Its access log stays off (--no-access-log): every request has a line of ours, without its query.
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def info(message: str, **fields: object) -> None:
    logging.getLogger("notes").info(message, extra={"fields": fields})


def error(message: str, *, exception: bool = False, **fields: object) -> None:
    logging.getLogger("notes").error(message, extra={"fields": fields}, exc_info=exception)
