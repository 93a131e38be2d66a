"""How Alembic reaches the database: the same URL as the application, one transaction for all pending migrations."""

import sys

import sqlalchemy as sa
from alembic import context
from notes import log
from notes.database import engine
from notes.models import Base

# `alembic current` answers on standard output, and Ferryman reads its last line: the log stays out of it.
log.setup(sys.stderr)

with engine().connect() as connection:
    # A migration that waits for a lock makes every request behind it wait too: better to fail and to try again.
    connection.execute(sa.text("set lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
