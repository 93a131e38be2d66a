"""`env.*`: environments of a project."""

from invoke import Context, task


@task(
    help={
        "env": "Name of the new environment.",
        "from_": "Environment whose values it begins with, without its addresses and secrets.",
        "sandbox": "Real hosts on this machine in the place of servers: single (one host) or fleet (several).",
    }
)
def new(ctx: Context, env: str = "", from_: str = "", sandbox: str = "") -> None:
    """Make the inventory of a new environment; overwrite nothing, and say what is to be filled in."""
    from ferryman import env as environment
    from ferryman import telling

    telling.tell(environment.new(env, source=from_, sandbox=sandbox), environment.words, ctx)
