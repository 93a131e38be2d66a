"""`release.diff`: what differs between two releases."""

from invoke import Context, task

from ferryman.interrupts import nothing_touched
from ferryman.tasks.release import ENV

NAMESPACE = "release"


@task(
    positional=["one", "other"],
    help=ENV
    | {
        "one": "A release: its name or its commit, or the beginning of one.",
        "other": "What it is compared with; what is live if not said.",
    },
)
@nothing_touched()
def diff(ctx: Context, one: str = "", other: str = "", env: str = "", app: str = "") -> None:
    """Say what differs between two releases: commits with release notes, files, configuration, migrations."""
    from ferryman import diff, telling

    telling.tell(diff.between(env, app=app, one=one, other=other), diff.page, ctx)
