"""`docs.*`: what is written from its source."""

from typing import Any

from invoke import Collection, Context, task

OF_A_CHECKOUT = True


def commands() -> "list[tuple[str, str, list[tuple[str, str]]]]":
    """Return every command with its help, as the reference lists them."""
    from ferryman.tasks import described, help_texts, namespace

    return [(name, *described(namespace[name], help_texts[name])) for name in sorted(namespace.task_names)]


def write(ctx: Any, only: str = "") -> None:
    """Write what is stale and say what changed."""
    from ferryman import proving, reference
    from ferryman.tasks import EVERYWHERE

    root = proving.checkout()
    tell_written(reference.write(root, reference.files(root, commands(), EVERYWHERE), only=only), ctx)


def tell_written(changed: "list[Any]", ctx: Any) -> None:
    """Say which files were written."""
    from ferryman import proving, telling

    told = {"wrote": [str(path.relative_to(proving.checkout())) for path in changed]}
    telling.tell(told, lambda _: "\n".join(f"wrote {path}" for path in told["wrote"]) or "all is current", ctx)


@task
def reference(ctx: Context) -> None:
    """Write docs/reference, every role's defaults and the figures of docs/proof.md from their sources."""
    write(ctx)


@task
def defaults(ctx: Context) -> None:
    """Write every role's defaults/main.yml from its argument spec."""
    write(ctx, "main.yml")


@task(help={"upgrade": "Take the newest versions that the bounds allow."})
def locks(ctx: Context, upgrade: bool = False) -> None:
    """Write requirements/*.txt from requirements/*.in."""
    from ferryman import proving
    from ferryman import reference as written

    tell_written(written.locks(proving.checkout(), upgrade=upgrade), ctx)


@task
def site(ctx: Context) -> None:
    """Build the documentation as a site in .ferryman/site, and look at every link of it."""
    from ferryman import paths, proving, telling
    from ferryman import site as built

    out = paths.state_directory() / "site"
    told = {"pages": built.build(proving.checkout(), out), "index": str(out / "index.html")}
    telling.tell(told, lambda _: f"{told['pages']} pages: {told['index']}", ctx)


@task
def pictures(ctx: Context) -> None:
    """Take the pictures in docs/pictures anew, from a real deploy on hosts of their own."""
    from ferryman import proving

    tell_written(proving.pictures(), ctx)


namespace = Collection(reference, defaults, locks, site, pictures)
