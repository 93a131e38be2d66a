"""Synthetic data for environments where people try things; does nothing where it was run before."""

import os
import secrets

import sqlalchemy as sa
from sqlalchemy.orm import Session

from notes import database, log, security
from notes.models import Note, User

TEXTS = {
    "Welcome": "This note was made by a program. Change it, or write one of your own.",
    "Shopping": "Tea, ink, a lamp for the ferry.",
    "Ideas": "Ask the ferryman how deep the river is.",
}


def seed(session: Session, password: str) -> bool:
    """Make the user `demo` with a few notes; return whether anything was made."""
    if session.scalar(sa.select(User.id).where(User.name == "demo")):
        return False
    user = User(name="demo", password=security.hash_password(password))
    session.add(user)
    session.flush()
    session.add_all(Note(user_id=user.id, title=title, body=body) for title, body in TEXTS.items())
    session.commit()
    return True


def main() -> None:
    log.setup()
    # Without a password of your own nobody can log in as `demo`: a known default would be a door.
    password = os.environ.get("NOTES_SEED_PASSWORD") or secrets.token_urlsafe(32)
    with Session(database.engine()) as session:
        log.info("seeded", made=seed(session, password))


if __name__ == "__main__":
    main()
