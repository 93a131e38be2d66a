"""Uploads: streamed to a file beside the others, then named; a worker looks at them later."""

import contextlib
import hashlib
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from notes import database, settings
from notes.accounts import Database, Known
from notes.models import Job, Media

router = APIRouter(prefix="/api/media")
BLOCK = 1024 * 1024


@router.get("")
def read_all(known: Known, session: Database) -> list[dict[str, Any]]:
    query = sa.select(Media).where(Media.user_id == known.id).order_by(Media.id.desc()).limit(500)
    return [_shown(media) for media in session.scalars(query)]


@router.post("", status_code=201)
async def upload(name: str, known: Known, request: Request) -> dict[str, Any]:
    """Take the body as it comes; no more than a block of it is ever in memory."""
    # The session that found the user holds a connection: it goes back before the long part.
    user_id = known.id
    sa.orm.object_session(known).close()  # type: ignore[union-attr]  # it came from that session
    part = settings.media() / f".{secrets.token_hex(16)}.part"
    try:
        size, digest = await _receive(request, part)
        return await run_in_threadpool(_keep, user_id, name[:200] or "unnamed", part, size, digest)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


@router.get("/{media_id}")
def download(media_id: int, known: Known, session: Database) -> FileResponse:
    media = _own(media_id, known, session)
    path = settings.media() / media.file
    if not path.exists():
        raise HTTPException(410, "the file is gone")
    # As an attachment of no known type: nobody's upload runs as a page of this site.
    head = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(media.name, safe='')}"}
    return FileResponse(path, media_type="application/octet-stream", headers=head)


@router.delete("/{media_id}", status_code=204)
def remove(media_id: int, known: Known, session: Database) -> None:
    media = _own(media_id, known, session)
    session.delete(media)
    session.commit()
    (settings.media() / media.file).unlink(missing_ok=True)


async def _receive(request: Request, part: Path) -> tuple[int, str]:
    """Write the body to `part`; return its size in bytes and its SHA-256."""
    size, digest, waiting, limit = 0, hashlib.sha256(), bytearray(), settings.max_upload()
    with part.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, f"at most {limit} bytes")
            waiting += chunk
            if len(waiting) >= BLOCK:
                await run_in_threadpool(_write, file, digest, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(_write, file, digest, bytes(waiting))
    return size, digest.hexdigest()


def _write(file: Any, digest: Any, data: bytes) -> None:
    digest.update(data)
    file.write(data)


def _keep(user_id: int, name: str, part: Path, size: int, digest: str) -> dict[str, Any]:
    file = part.name.removeprefix(".").removesuffix(".part")
    part.rename(part.with_name(file))
    with Session(database.engine()) as session:
        media = Media(user_id=user_id, name=name, file=file, size=size, sha256=digest)
        session.add(media)
        session.flush()
        session.add(Job(kind="look", media_id=media.id))
        session.commit()
        return _shown(media)


def _own(media_id: int, known: Known, session: Database) -> Media:
    media = session.get(Media, media_id)
    if media is None or media.user_id != known.id:
        raise HTTPException(404, "no such file")
    return media


def _shown(media: Media) -> dict[str, Any]:
    return {"id": media.id, "name": media.name, "size": media.size, "sha256": media.sha256, "facts": media.facts}
