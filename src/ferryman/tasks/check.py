"""Check: everything that is wrong with an environment, before anything is changed."""

from invoke import Context, task

from ferryman.interrupts import nothing_touched
from ferryman.tasks.release import ENV

AT_ROOT = True


@task(help=ENV | {"hosts": "Look at the hosts, too; without it none is asked."})
@nothing_touched()
def check(ctx: Context, env: str = "", app: str = "", hosts: bool = False) -> None:
    """Find everything that is wrong with an environment's files, and with its hosts, and change nothing."""
    from ferryman import check, telling

    telling.tell(check.check(env, app=app, hosts=hosts), telling.checked, ctx)
