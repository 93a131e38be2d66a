"""`release.why`: what the ledger tells of a release."""

from invoke import Context, task

from ferryman.interrupts import nothing_touched

NAMESPACE = "release"


@task(
    positional=["release"],
    help={
        "release": "Its name or its commit, or the beginning of one; that of the last run if not said.",
        "env": "Environment (local if not said, where there is one).",
        "app": "Application, where an environment has several.",
    },
)
@nothing_touched()
def why(ctx: Context, release: str = "", env: str = "", app: str = "") -> None:
    """Say why a release went on or back: what was decided when, upon which counts."""
    from ferryman import telling
    from ferryman import why as reasons

    telling.tell(reasons.of(env, app=app, release=release), reasons.page, ctx)
