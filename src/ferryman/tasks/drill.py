"""`drill.*`: whether everything can be had again, shown by doing it."""

from invoke import Collection, Context, task


@task(
    help={
        "env": "Environment (local if not said, where there is one).",
        "host": "Empty machine of group `drill` to make it on; of a sandbox a new container, if not said.",
    }
)
def full(ctx: Context, env: str = "", host: str = "") -> None:
    """Bring a new host up from the archive alone, have it serve, ask it, and take it away again."""
    from ferryman import full_drill, telling

    telling.tell(full_drill.full(env, host=host), full_drill.words, ctx)


namespace = Collection(full)
