"""`release.judge`: whether to go back from what is live."""

from invoke import Context, task

from ferryman.interrupts import nothing_touched
from ferryman.tasks.release import ENV

NAMESPACE = "release"


@task(help=ENV | {"minutes": "How far to look back."})
@nothing_touched()
def judge(ctx: Context, env: str = "", app: str = "", minutes: int = 10) -> None:
    """Say what the thresholds say of the live release now, and the command that goes back; changes nothing."""
    from ferryman import judging, telling

    telling.tell(judging.of(env, app=app, minutes=minutes), judging.page, ctx)
