"""`release.promote` and `release.abort`: a person's word to a release that is in its stages."""

from invoke import Context, task

from ferryman.tasks.release import ENV

NAMESPACE = "release"
SHARE = "For the stage with this percentage of the clients, refused where another one goes on (any if not said)."


@task(help=ENV | {"share": SHARE})
def promote(ctx: Context, env: str = "", app: str = "", share: int = 0) -> None:
    """Have a release that is in its stages go on with the next one now; nothing overrules a verdict against it."""
    from ferryman import release, telling

    telling.tell(release.word(env, app=app, word="promote", share=share), telling.word, ctx)


@task(help=ENV)
def abort(ctx: Context, env: str = "", app: str = "") -> None:
    """Have a release that is in its stages go back now."""
    from ferryman import release, telling

    telling.tell(release.word(env, app=app, word="abort"), telling.word, ctx)
