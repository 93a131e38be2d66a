"""What all tests share: the difference between a sample and a soak, and where a soak's figures go."""

import gc
import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from hypothesis import settings

# A machine that is busy with other things is slow, and no promise is about that.
settings.register_profile("ferryman", deadline=None)
# For a second run of the same tests, on what differs in other things than chance: `--hypothesis-profile few`.
settings.register_profile("few", settings.get_profile("ferryman"), max_examples=5)
settings.load_profile("ferryman")

pytest_plugins = ["tests.support.hosted"]

One = TypeVar("One")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage in what is collected, which stays until the end: that took a fifth of a collection."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@dataclass
class Soak:
    """How much a long count counts this time; its figures become the record under docs/records.

    `./invoke test` takes a seeded sample of what is long, `./invoke soak NAME` all of it.
    """

    full: bool
    seed: int
    figures: dict[str, object] = field(default_factory=dict)

    def times(self, *, sample: int, full: int) -> int:
        """How often to do it."""
        return full if self.full else sample

    def turns(self, each: Sequence[One]) -> Iterator[One]:
        """Go through what takes a while; in full, say after each how far it is, and how long the rest will take."""
        began = time.monotonic()
        for done, one in enumerate(each):
            turn = time.monotonic()
            yield one
            if self.full:
                now = time.monotonic()
                left = (now - began) / (done + 1) * (len(each) - done - 1)
                print(f"{done + 1} of {len(each)}: {now - turn:.1f} s; {left / 60:.0f} min left", flush=True)

    def random(self) -> Random:
        """The source of all chance in the test: equal seeds repeat it."""
        return Random(self.seed)

    def record(self, **figures: object) -> None:
        """Keep figures for the record (units in their names)."""
        self.figures.update(figures)


@pytest.fixture
def soak() -> Iterator[Soak]:
    """Sample or soak, with the seed of FERRYMAN_SEED where a failure is to be seen again."""
    counted = Soak(os.environ.get("FERRYMAN_SOAK") == "full", int(os.environ.get("FERRYMAN_SEED", "20261122")))
    yield counted
    target = os.environ.get("FERRYMAN_SOAK_FIGURES")
    if target:
        Path(target).write_text(json.dumps({"seed": counted.seed, **counted.figures}))
