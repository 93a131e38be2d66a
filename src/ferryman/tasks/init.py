"""`init`: from an application's directory to a project that can be deployed."""

from invoke import Context, task

AT_ROOT = True


@task(
    positional=["application"],
    help={"application": "Directory of the application, as seen from here (here if not said)."},
)
def init(ctx: Context, application: str = ".") -> None:
    """Lay out a project here, for an application here or elsewhere; overwrite nothing, and say what to type next."""
    from pathlib import Path

    from ferryman import telling
    from ferryman.init import project

    telling.tell(project.lay_out(Path.cwd(), application), project.words, ctx)
