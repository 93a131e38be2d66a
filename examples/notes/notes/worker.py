"""The worker: takes jobs from the table, one at a time, beside as many other workers as there are."""

import signal
import threading
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from notes import database, log, settings
from notes.models import Job, Media

LEASE = timedelta(minutes=5)
TRIES = 5
PAUSE_S = 1.0
MAGIC = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"%PDF": "pdf", b"PK\x03\x04": "zip"}


def take(session: Session) -> Job | None:
    """Claim the job that is due longest; one whose worker died is due again when its lease is over."""
    query = sa.select(Job).where(Job.state == "waiting", Job.due_at <= sa.func.now()).order_by(Job.due_at)
    job = session.scalar(query.limit(1).with_for_update(skip_locked=True))
    if job is not None:
        job.attempts += 1
        job.due_at = sa.func.now() + LEASE
        session.commit()
    return job


def work(session: Session, job: Job) -> None:
    """Do one job and record how it went."""
    log.info("job taken", job=job.id, kind=job.kind, attempt=job.attempts)
    media = session.get(Media, job.media_id)
    try:
        if media is not None:
            media.facts = look(settings.media() / media.file)
        job.state, job.error = "done", None
    except OSError as problem:
        job.error = str(problem)
        job.state = "failed" if job.attempts >= TRIES else "waiting"
        log.error("job failed", job=job.id, reason=job.error)
    session.commit()


def look(path: Path) -> dict[str, Any]:
    """Return what can be told about a file: its kind, and for text its lines and words."""
    with path.open("rb") as file:
        start = file.read(512)
        for magic, kind in MAGIC.items():
            if start.startswith(magic):
                return {"kind": kind}
        if b"\0" in start:
            return {"kind": "binary"}
        file.seek(0)
        lines = words = 0
        for line in file:
            lines += 1
            words += len(line.split())
    return {"kind": "text", "lines": lines, "words": words}


def run(stop: threading.Event) -> None:
    """Work until told to stop; a job that was begun is finished."""
    while not stop.is_set():
        try:
            with Session(database.engine()) as session:
                job = take(session)
                if job is not None:
                    work(session, job)
                    continue
        except sa.exc.OperationalError:
            log.error("the database does not answer")
        stop.wait(PAUSE_S)


def main() -> None:
    log.setup()
    stop = threading.Event()

    def asked(number: int, _: FrameType | None) -> None:
        log.info("stopping", signal=number)
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    log.info("worker started")
    run(stop)


if __name__ == "__main__":
    main()
