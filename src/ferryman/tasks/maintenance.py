"""`maintenance.*`: the page that clients see while an application is down on purpose, and patches that need none."""

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


@task(
    help={
        "env": ENV["env"],
        "reboot": "needed (where something that was installed asks for it), always or never.",
        "with_database": "Also hosts of databases and caches, behind the maintenance page.",
        "wait": "Seconds to wait in line for each host where a deploy holds the lock.",
        "in_window": "For a schedule: each host in its host_updates_window alone, and nobody is asked.",
    }
)
def roll(
    ctx: Context,
    env: str = "",
    reboot: str = "needed",
    with_database: bool = False,
    wait: int = 3600,
    in_window: bool = False,
) -> None:
    """Install security updates host by host, and reboot where need be; of several hosts the others serve meanwhile."""
    from ferryman import rolling, telling

    told = rolling.roll(
        env, reboot=reboot, with_database=with_database, wait=wait, in_window=in_window, yes=ctx.ferryman.yes
    )
    telling.tell(told, rolling.page, ctx)
