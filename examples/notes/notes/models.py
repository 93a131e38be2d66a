"""The tables; what really stands in the database is made by migrations/."""

from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[Any] = {datetime: sa.DateTime(timezone=True), str: sa.Text, dict[str, Any]: sa.JSON}


def _key() -> Any:
    return mapped_column(sa.Identity(always=True), primary_key=True)


def _now() -> Any:
    return mapped_column(server_default=sa.func.now())


def _of(table: str, *, index: bool = True) -> Any:
    return mapped_column(sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), index=index)


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = _key()
    name: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    created_at: Mapped[datetime] = _now()


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = _key()
    user_id: Mapped[int] = _of("users")
    title: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[datetime] = _now()
    changed_at: Mapped[datetime] = _now()


class Media(Base):
    __tablename__ = "media"
    id: Mapped[int] = _key()
    user_id: Mapped[int] = _of("users")
    name: Mapped[str]
    file: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str]
    facts: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = _now()


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = _key()
    kind: Mapped[str]
    media_id: Mapped[int] = _of("media", index=False)
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = _now()
    error: Mapped[str | None]
    __table_args__ = (sa.Index("ix_jobs_due", "due_at", postgresql_where=sa.text("state = 'waiting'")),)
