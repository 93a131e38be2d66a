"""Logs: what all hosts of an environment wrote, in the order of time."""

from invoke import Context, task

AT_ROOT = True


@task(
    help={
        "env": "Environment (local if not said, where there is one).",
        "app": "Lines of this application.",
        "process": "Lines of this process; entry, database and system are those that no application starts.",
        "release": "Lines of this release; its beginning, or the commit at its end, will do.",
        "level": "Lines of this level and worse: debug, info, warning, error, critical.",
        "since": "Not before: 10m, 2h30m, 3d, 1w, now, today, yesterday, 2026-11-22, 2026-11-22T10:30:00Z.",
        "until": "Not after: written as --since.",
        "request_id": "Lines of this request, of the entry and of the application.",
        "grep": "Lines in which this regular expression is found.",
        "lines": "The newest so many.",
        "follow": "Go on and show what comes, until Ctrl-C.",
    }
)
def logs(
    ctx: Context,
    env: str = "",
    app: str = "",
    process: str = "",
    release: str = "",
    level: str = "",
    since: str = "",
    until: str = "",
    request_id: str = "",
    grep: str = "",
    lines: int = 200,
    follow: bool = False,
) -> None:
    """Show what applications, entry, database and Ferryman itself wrote, of all hosts, in the order of time."""
    from ferryman import logs as reading

    wanted = {"app": app, "process": process, "release": release, "level": level, "request_id": request_id}
    reading.show(env, {**wanted, "grep": grep, "since": since, "until": until}, lines=lines, follow=follow, ctx=ctx)
