"""`docs.*`: what is written from its source."""

from invoke import Collection, Context, task

OF_A_CHECKOUT = True


def commands() -> "list[tuple[str, str, list[tuple[str, str]]]]":
    """Return every command with its help, as the reference lists them."""
    from ferryman.tasks import described, help_texts, namespace

    return [(name, *described(namespace[name], help_texts[name])) for name in sorted(namespace.task_names)]


def write(only: str = "") -> None:
    """Write what is stale and say what changed."""
    from ferryman import proving, reference
    from ferryman.tasks import EVERYWHERE

    root = proving.checkout()
    changed = reference.write(root, reference.files(root, commands(), EVERYWHERE), only=only)
    for path in changed:
        print(f"wrote {path.relative_to(root)}")
    if not changed:
        print("all is current")


@task
def reference(_: Context) -> None:
    """Write docs/reference and every role's defaults from specs, modules and tasks."""
    write()


@task
def defaults(_: Context) -> None:
    """Write every role's defaults/main.yml from its argument spec."""
    write("main.yml")


@task(help={"upgrade": "Take the newest versions that the bounds allow."})
def locks(_: Context, upgrade: bool = False) -> None:
    """Write requirements/*.txt from requirements/*.in."""
    from ferryman import proving
    from ferryman import reference as written

    written.locks(proving.checkout(), upgrade=upgrade)


@task
def site(_: Context) -> None:
    """Build the documentation as a site in .ferryman/site, and look at every link of it."""
    from ferryman import paths, proving
    from ferryman import site as built

    out = paths.state_directory() / "site"
    print(f"{built.build(proving.checkout(), out)} pages: {out / 'index.html'}")


@task
def pictures(_: Context) -> None:
    """Take the pictures in docs/pictures anew, from a real deploy on hosts of their own."""
    from ferryman import proving

    for path in proving.pictures():
        print(f"wrote {path}")


namespace = Collection(reference, defaults, locks, site, pictures)
