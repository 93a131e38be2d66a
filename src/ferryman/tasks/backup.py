"""`backup.*`: what can be restored, and whether it was."""

from invoke import Collection, Context, task

ENV = {"env": "Environment (local if not said, where there is one)."}
SET = {"set": "The set: database, media, config or cache."}


@task(help=ENV | SET)
def run(ctx: Context, env: str = "", set: str = "database") -> None:  # noqa: A002  # the word of the command line
    """Take a backup now, check it, and prune what may go."""
    from ferryman import backup, telling

    telling.tell(backup.run(env, kind=set), backup.taken, ctx)


@task(name="list", help=ENV | {"set": "Those of this set: database, media, config or cache; all if not said."})
def list_(ctx: Context, env: str = "", set: str = "") -> None:  # noqa: A002  # the word of the command line
    """Show every backup, and why it is kept."""
    from ferryman import backup, telling

    telling.tell(backup.list_of(env, kind=set), backup.listed, ctx)


@task(positional=["backup"], help=ENV | {"backup": "Its id or the beginning of it; the newest if not said."})
def show(ctx: Context, backup: str = "", env: str = "") -> None:
    """Show all that is known of one backup."""
    from ferryman import backup as backups
    from ferryman import telling

    telling.tell(backups.show(env, backup), backups.shown, ctx)


@task(help=ENV | SET | {"backup": "Its id or the beginning of it, or all; the newest if not said."})
def check(ctx: Context, env: str = "", set: str = "database", backup: str = "") -> None:  # noqa: A002  # the word of the command line
    """Read what a restore would read, and say what is not as it was written."""
    from ferryman import backup as backups
    from ferryman import telling

    telling.tell(backups.check(env, kind=set, backup=backup), backups.looked, ctx)


@task(help=ENV)
def status(ctx: Context, env: str = "") -> None:
    """Show how backups, stream, space and drills are, and what is wrong."""
    from ferryman import backup

    backup.tell_state(backup.look(env, "status"), ctx)


@task(
    help=ENV
    | {
        "set": "The set: database, media, config or cache; or all of them in one job, of one time.",
        "to": "A moment (10m, 2026-11-26T12:00:00Z), a backup's id, a release, or latest.",
        "into": "Where to: scratch (to be looked at) or place (what serves; asks first).",
        "end": "Take away what an earlier restore left in scratch.",
        "undo": "With --into place: go back to what served before the last restore.",
        "from_": "offsite brings the whole archive back to an archive host that has none; --to then means a copy.",
    }
)
def restore(
    ctx: Context,
    env: str = "",
    set: str = "database",  # noqa: A002  # the word of the command line
    to: str = "latest",
    into: str = "scratch",
    end: bool = False,
    undo: bool = False,
    from_: str = "",
) -> None:
    """Restore a set to a moment or a backup, find it whole, and leave it to be looked at, or put it in place."""
    from ferryman import backup_offsite, telling
    from ferryman import backup_restore as restores

    if from_:
        plain = (set, into, end, undo) == ("database", "scratch", False, False)
        told = backup_offsite.bring_back(env, source=from_, to=to, plain=plain)
        telling.tell(told, backup_offsite.brought, ctx)
    elif into == "place":
        told = restores.place(env, kind=set, to=to, undo=undo, yes=ctx.ferryman.yes)
        telling.tell(told, restores.put, ctx)
    else:
        telling.tell(restores.restore(env, kind=set, to=to, into=into, end=end), restores.restored, ctx)


@task(help=ENV | {"check": "Send nothing, and read all data that is off site."})
def offsite(ctx: Context, env: str = "", check: bool = False) -> None:
    """Send a copy of the whole archive off site now, and read a part of what is there."""
    from ferryman import backup_offsite, telling

    telling.tell(backup_offsite.copy(env, check=check), backup_offsite.copied, ctx)


@task(help=ENV | {"set": "This set alone: database, media, config or cache; all if not said."})
def drill(ctx: Context, env: str = "", set: str = "") -> None:  # noqa: A002  # the word of the command line
    """Restore for practice: check, measure, tear down, and record."""
    from ferryman import backup, telling

    telling.tell(backup.drill(env, kind=set), backup.drilled, ctx)


@task(
    name="setup",
    help=ENV | {"paper": "A new file for the paper copy of the keys, for you alone (the terminal if not said)."},
)
def setup_(ctx: Context, env: str = "", paper: str = "") -> None:
    """Make what backups lack: keys, the archive's host, a first backup of each set; and show the keys for paper."""
    from ferryman import backup_setup, telling

    telling.tell(backup_setup.setup(env, paper=paper, json=ctx.ferryman.json), backup_setup.done, ctx)


namespace = Collection(setup_, run, list_, show, check, status, restore, drill, offsite)
