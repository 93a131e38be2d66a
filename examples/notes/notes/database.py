"""Connections, made on first use."""

from collections.abc import Iterator
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.orm import Session

from notes import settings


@lru_cache
def engine() -> sa.Engine:
    # Four processes at once in a deploy (two slots, two instances) stay at 40 of the server's connections.
    return sa.create_engine(
        settings.database_url(),
        pool_size=5,
        max_overflow=5,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 2, "application_name": f"notes {settings.release()}"},
    )


def session() -> Iterator[Session]:
    """Give a request its session; what was not committed is rolled back."""
    with Session(engine()) as current:
        yield current


@lru_cache
def head() -> str:
    """Return the newest schema revision that this release knows: revisions are numbered, and files named after them."""
    return max(file.name[:4] for file in (settings.HERE.parent / "migrations" / "versions").glob("0*_*.py"))


def ready() -> str | None:
    """Return why this process can't serve yet, or None.

    A newer schema is fine: in every deploy the release that still serves meets the schema of the next one.
    """
    try:
        with engine().connect() as connection:
            found = connection.scalar(sa.text("select max(version_num) from alembic_version"))
    except sa.exc.ProgrammingError:
        found = None
    except sa.exc.SQLAlchemyError as problem:
        return f"the database does not answer: {type(problem).__name__}"
    if found is None or found < head():
        return f"the schema is at {found}, this release needs {head()}"
    return None
