"""Notes: read, write, change, remove; each user sees their own."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from notes.accounts import Database, Known
from notes.models import Note

router = APIRouter(prefix="/api/notes")


class Text(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    body: str = Field(default="", max_length=100_000)


@router.get("")
def read_all(known: Known, session: Database, limit: int = 100, before: int | None = None) -> list[dict[str, Any]]:
    """Return the newest notes first; `before` is the id of the last one already seen."""
    query = sa.select(Note).where(Note.user_id == known.id).order_by(Note.id.desc()).limit(max(1, min(limit, 500)))
    if before is not None:
        query = query.where(Note.id < before)
    return [_shown(note) for note in session.scalars(query)]


@router.post("", status_code=201)
def write(text: Text, known: Known, session: Database) -> dict[str, Any]:
    note = Note(user_id=known.id, title=text.title, body=text.body)
    session.add(note)
    session.commit()
    return _shown(note)


@router.get("/{note_id}")
def read(note_id: int, known: Known, session: Database) -> dict[str, Any]:
    return _shown(_own(note_id, known, session))


@router.put("/{note_id}")
def change(note_id: int, text: Text, known: Known, session: Database) -> dict[str, Any]:
    note = _own(note_id, known, session)
    note.title, note.body = text.title, text.body
    note.changed_at = sa.func.now()  # type: ignore[assignment]  # the server's clock, not this host's
    session.commit()
    return _shown(note)


@router.delete("/{note_id}", status_code=204)
def remove(note_id: int, known: Known, session: Database) -> None:
    session.delete(_own(note_id, known, session))
    session.commit()


def _own(note_id: int, known: Known, session: Database) -> Note:
    note = session.get(Note, note_id)
    if note is None or note.user_id != known.id:
        raise HTTPException(404, "no such note")
    return note


def _shown(note: Note) -> dict[str, Any]:
    return {"id": note.id, "title": note.title, "body": note.body, "changed_at": note.changed_at}
