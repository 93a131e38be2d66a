"""Releases: deploy and roll back, and what goes with it."""

from invoke import Context, task

from ferryman.interrupts import nothing_touched

AT_ROOT = True
ENV = {
    "env": "Environment (local if not said, where there is one).",
    "app": "Application, where an environment has several.",
}
PARTIAL = (
    "How many app hosts that cannot be reached it may go on without; entries send them no clients (none if not said)."
)
HOTFIX = "By the short stages of a hotfix; refused where it is more than what is live with a little added."
WAIT = "Seconds to wait in line where another run holds the lock; without it that is refused at once."


@task(
    help=ENV
    | {
        "ref": "Branch, tag or commit; the inventory's, or the work tree's HEAD, if not said.",
        "allow_dirty": "Deploy changes that are in no commit (not in prod).",
        "wait": WAIT,
        "partial": PARTIAL,
        "plan": "Do what this file of `plan --out` says; refused where the world has changed since.",
        "hotfix": HOTFIX,
        "detach": "Once it is built, have the host with the lock drive it itself, and leave; `attach` follows it.",
    }
)
def deploy(
    ctx: Context,
    env: str = "",
    app: str = "",
    ref: str = "",
    allow_dirty: bool = False,
    wait: int = 0,
    partial: int = 0,
    plan: str = "",
    hotfix: bool = False,
    detach: bool = False,
) -> None:
    """Deploy a commit: build, stage, start beside the old one, switch, settle; or return to the old one."""
    from ferryman import release, telling

    how = {"allow_dirty": allow_dirty, "hotfix": hotfix, "detach": detach}
    told = release.deploy(env, app=app, ref=ref, wait=wait, partial=partial, plan=plan, **how)
    telling.tell(told, telling.summary, ctx)


@task(help=ENV)
def attach(ctx: Context, env: str = "", app: str = "") -> None:
    """Follow the last deploy that was handed over (`deploy --detach`) to its end, and end as it does."""
    from ferryman import detached, telling

    telling.tell(detached.attach(env, app=app), telling.summary, ctx)


@task(
    help=ENV
    | {
        "ref": "Branch, tag or commit that would be deployed; as for `deploy`.",
        "allow_dirty": "Count changes that are in no commit (not in prod).",
        "hotfix": "Plan a hotfix, as `deploy --hotfix` would do it.",
        "out": "A file to write the plan to, as JSON.",
    }
)
@nothing_touched()
def plan(
    ctx: Context,
    env: str = "",
    app: str = "",
    ref: str = "",
    allow_dirty: bool = False,
    hotfix: bool = False,
    out: str = "",
) -> None:
    """Say what provisioning and a deploy would change; nothing is changed, and no lock is taken."""
    from ferryman import planned, release, telling

    told = release.plan(env, app=app, ref=ref, allow_dirty=allow_dirty, hotfix=hotfix, out=out)
    telling.tell(told, planned.page, ctx)


@task(
    help=ENV
    | {
        "to": "Release or commit to go back to; the last good one if not said.",
        "accept_schema": "Go back over a change of the schema; the data stay as they are.",
        "with_database": "Go back with the database as it was before its migration; says what that loses, and asks.",
        "wait": WAIT,
        "partial": PARTIAL,
    }
)
def rollback(
    ctx: Context,
    env: str = "",
    app: str = "",
    to: str = "",
    accept_schema: bool = False,
    with_database: bool = False,
    wait: int = 0,
    partial: int = 0,
) -> None:
    """Go back to the last good release, or to a named one."""
    from ferryman import release, telling

    over = {"accept_schema": accept_schema, "with_database": with_database, "yes": ctx.ferryman.yes}
    over |= {"wait": wait, "partial": partial}
    telling.tell(release.rollback(env, app=app, to=to, **over), telling.summary, ctx)


@task(positional=["process"], help=ENV | {"process": "A process of kind once in ferryman.yml."})
def run(ctx: Context, process: str = "", env: str = "", app: str = "") -> None:
    """Run a process of the live release once, as a unit of its own, and show what it wrote."""
    from ferryman import release, telling

    telling.tell(release.once(env, app=app, process=process), telling.output, ctx)


@task(
    positional=["size"],
    iterable=["size"],
    help=ENV
    | {
        "size": "A process and how many of it run on each app host: web=5, or web=declared; several follow each other.",
        "wait": WAIT,
        "check": "Only say what would change.",
    },
)
def scale(
    ctx: Context,
    size: list[str] | None = None,
    env: str = "",
    app: str = "",
    wait: int = 0,
    check: bool = False,
) -> None:
    """Have more or fewer instances of processes run, within their bounds, until somebody scales again; no deploy."""
    from ferryman import scaling, telling

    telling.tell(scaling.scale(env, app=app, size=size or [], wait=wait, check=check), scaling.page, ctx)


@task(help={"env": ENV["env"], "check": "Only say what would change."})
def provision(ctx: Context, env: str = "", check: bool = False) -> None:
    """Bring every host of an environment to its state."""
    from ferryman import release, telling

    telling.tell(release.provision(env, check=check), telling.provisioned, ctx)


@task(help=ENV)
@nothing_touched()
def releases(ctx: Context, env: str = "", app: str = "") -> None:
    """Show the ledger: every release, who, what became of it and why, what a rollback would go to."""
    from ferryman import release, telling

    telling.tell(release.look(env, app=app), telling.ledger, ctx)


@task(help=ENV)
@nothing_touched()
def status(ctx: Context, env: str = "", app: str = "") -> None:
    """Show on one screen what is served, whether it is well, and what is wrong, with the command that mends it."""
    from ferryman import release, screen, telling

    telling.tell(release.state(env, app=app), screen.state, ctx)


@task(help=ENV)
@nothing_touched()
def health(ctx: Context, env: str = "", app: str = "") -> None:
    """Ask everything that is served, of all applications if none is named, whether it is well."""
    from ferryman import release, telling

    telling.tell_health(release.health(env, app=app), ctx)


@task(
    help=ENV
    | {
        "from_": "From where: driver, hosts or both (both if not said).",
        "junit": "File for the results, as JUnit.",
    }
)
def verify(ctx: Context, env: str = "", app: str = "", from_: str = "both", junit: str = "") -> None:
    """Go through the live release's steps under verify in ferryman.yml."""
    from ferryman import release, telling

    telling.tell_verified(release.verify(env, app=app, vantage=from_, junit=junit), ctx)


@task(
    help={
        **ENV,
        "force": "The host that kept lock and ledger is gone for good: have the first entry (or lock_host) take over.",
    }
)
def unlock(ctx: Context, env: str = "", app: str = "", force: bool = False) -> None:
    """Free the deploy lock by force; a run that is at work fails, so that of one is freed only if you say yes."""
    from ferryman import release, telling

    telling.tell(release.unlock(env, app=app, yes=ctx.ferryman.yes, force=force), telling.unlocked, ctx)
