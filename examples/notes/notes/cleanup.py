"""The nightly cleanup: uploads that never ended, files that nobody owns, jobs long done."""

import time
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from notes import database, log, settings
from notes.models import Job, Media

DAY_S = 24 * 3600
KEEP_JOBS = timedelta(days=7)


def clean(session: Session, now: float) -> dict[str, int]:
    """Remove what is left over, older than a day; return how much of each."""
    jobs = session.execute(sa.delete(Job).where(Job.state == "done", Job.due_at < sa.func.now() - KEEP_JOBS))
    # The files are listed before the rows are read: one that comes in between has its row by then.
    old = [file for file in settings.media().iterdir() if file.is_file() and now - file.stat().st_mtime > DAY_S]
    known = set(session.scalars(sa.select(Media.file)))
    orphans = [file for file in old if file.name not in known]
    for file in orphans:
        file.unlink(missing_ok=True)
    session.commit()
    return {"files": len(orphans), "jobs": jobs.rowcount}


def main() -> None:
    log.setup()
    with Session(database.engine()) as session:
        log.info("cleaned up", **clean(session, time.time()))


if __name__ == "__main__":
    main()
