"""`fence.*`: an app host that clients are not sent to, while something is done about it."""

from invoke import Context, task

from ferryman.tasks.release import ENV

HOST = {"host": "Name of an app host in hosts.yml."}


@task(positional=["host"], help=ENV | HOST | {"why": "Why, for whoever looks at `status` later."})
def on(ctx: Context, host: str = "", env: str = "", app: str = "", why: str = "") -> None:
    """Send no clients to an app host; what is under way on it ends. Never the last one."""
    from ferryman import release, telling

    telling.tell(release.fence(env, app=app, host=host, off=True, why=why), telling.fence, ctx)


@task(positional=["host"], help=ENV | HOST)
def off(ctx: Context, host: str = "", env: str = "", app: str = "") -> None:
    """Send clients to an app host again."""
    from ferryman import release, telling

    telling.tell(release.fence(env, app=app, host=host, off=False, why=""), telling.fence, ctx)
