"""`test`, `soak` and `bench`: how Ferryman is proven."""

from invoke import Context, task

AT_ROOT = True
OF_A_CHECKOUT = True


@task(
    positional=["what"],
    help={
        "what": "unit (with lint and contract), roles (Molecule) or e2e (with faults); if not said all,"
        " but each role on one Debian, and of long journeys some, which the commit and FERRYMAN_SEED choose.",
        "junit": "Directory for the results as JUnit XML.",
        "record": "Of all: write under docs/records how long it took.",
    },
)
def test(ctx: Context, what: str = "", junit: str = "", record: bool = False) -> None:
    """Test Ferryman: one part of it, or all."""
    from ferryman import proving

    proving.prove(what, junit=junit, record=record, as_json=ctx.ferryman.json)


@task(positional=["name"], help={"name": "Which long count; none: list them."})
def soak(ctx: Context, name: str = "") -> None:
    """Run a long count in full, and record it under docs/records."""
    from ferryman import proving

    proving.soak(name, as_json=ctx.ferryman.json)


@task(positional=["name"], help={"name": "Which benchmark of tests/bench; none: list them."})
def bench(ctx: Context, name: str = "") -> None:
    """Measure something, as a benchmark of tests/bench does."""
    from ferryman import proving

    proving.bench(name, as_json=ctx.ferryman.json)
