"""`data.*`: data of one environment for another, without the persons in them."""

from invoke import Collection, Context, task


@task(
    help={
        "env": "Environment that gets the data (local if not said, where there is one).",
        "from_": "Environment whose backups they are taken from.",
        "app": "Application, where an environment has several.",
        "to": "A moment (10m, 2026-11-26T12:00:00Z), a backup's id, or latest.",
        "undo": "Go back to the data that it had before the last refresh.",
    }
)
def refresh(
    ctx: Context, env: str = "", from_: str = "", app: str = "", to: str = "latest", undo: bool = False
) -> None:
    """Restore a backup beside everything, mask it, prove that nobody is left, and give it to an environment."""
    from ferryman import data, telling

    telling.tell(data.refresh(env, source=from_, app=app, to=to, undo=undo, yes=ctx.ferryman.yes), data.told, ctx)


namespace = Collection(refresh)
