"""`maintenance.*`: the page that clients see while an application is down on purpose."""

from invoke import Context, task

from ferryman.tasks.release import ENV


@task(help=ENV)
def on(ctx: Context, env: str = "", app: str = "") -> None:
    """Show the maintenance page."""
    from ferryman import release, telling

    telling.tell(release.maintenance(env, app=app, on=True), telling.page, ctx)


@task(help=ENV)
def off(ctx: Context, env: str = "", app: str = "") -> None:
    """Hide the maintenance page."""
    from ferryman import release, telling

    telling.tell(release.maintenance(env, app=app, on=False), telling.page, ctx)
