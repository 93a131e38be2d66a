"""How a description and an inventory fit: sizes of both slots, and what only one of the two knows."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, fit
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.reader import Reader
from hypothesis import given
from hypothesis import strategies as st

TEXT = """\
format: 1
name: shop
runtime: {kind: python}
processes:
  web: {kind: web, command: shop, instances: 2, memory_max: 256M}
  worker: {kind: worker, command: shop work, memory_max: 1G}
  nightly: {kind: cron, command: shop tidy, schedule: daily}
migrations: {command: shop migrate}
shared: [media, var/cache]
secrets: [SESSION_KEY]
"""


def doubts(text: str = TEXT, **given: Any) -> list[str]:
    """Return what is doubtful, as people read it."""
    values: dict[str, Any] = {"secrets": ["SESSION_KEY"], "files": []} | given
    found = fit.doubtful(description.read(text), Reader("ferryman.yml", text), "shop", **values)
    return [str(each) for each in found]


def test_what_fits_is_in_no_doubt() -> None:
    assert doubts() == []


def test_a_secret_that_nothing_reads_is_told_with_the_one_that_was_meant() -> None:
    (told,) = doubts(secrets=["SESSION_KEY", "SESION_KEY"])
    assert told == "apps.shop.secrets.SESION_KEY is a secret that ferryman.yml does not name; did you mean SESSION_KEY?"


@pytest.mark.parametrize(("there", "count"), [(True, 0), (False, 1)])
def test_a_lock_that_is_not_in_the_commit_is_told_by_its_line(there: bool, count: int) -> None:
    text = TEXT + "build: {lock: requirements/app.txt}\n"
    reader = Reader("ferryman.yml", text)
    given: dict[str, Any] = {"env": {}, "secrets": ["SESSION_KEY"], "has": lambda name: there}
    found = fit.unfit(description.read(text), reader, "shop", **given)
    told = "ferryman.yml:11: build.lock names 'requirements/app.txt', which is not in the commit; commit it"
    assert [str(each) for each in found] == [told] * count


@pytest.mark.parametrize(
    ("kind", "hosts", "count"),
    [("static", ["web1", "web2"], 1), ("static", ["web1"], 0), ("python", ["web1", "web2"], 0)],
)
def test_files_alone_on_several_hosts_are_told_by_their_line(kind: str, hosts: list[str], count: int) -> None:
    text = "format: 1\nname: shop\nruntime: {kind: static}\n" if kind == "static" else TEXT
    reader = Reader("ferryman.yml", text)
    given: dict[str, Any] = {"env": {}, "secrets": ["SESSION_KEY"], "has": lambda name: True, "hosts": hosts}
    told = [str(each) for each in fit.unfit(description.read(text), reader, "shop", **given)]
    assert [each[:39] for each in told] == ["ferryman.yml:3: runtime.kind is static:"] * count


def test_a_shared_path_inside_of_a_file_is_told_by_its_line() -> None:
    (told,) = doubts(files=["var", "media/logo.png"])
    assert told.startswith("ferryman.yml:9: shared.1 'var/cache' cannot be")


@pytest.mark.parametrize(("database", "count"), [(True, 0), (False, 1)])
def test_migrations_without_a_database_of_the_inventory_are_noted(database: bool, count: int) -> None:
    told = list(fit.notes(description.read(TEXT), "ferryman.yml", "shop", database=database, files=[]))
    assert len([note for note in told if "no dump is taken before them" in note]) == count


def test_committed_files_below_a_shared_path_are_noted() -> None:
    told = description.read(TEXT)
    (note,) = fit.notes(told, "ferryman.yml", "shop", database=True, files=["media/logo.png"])
    assert note.startswith("ferryman.yml: media/logo.png is committed and below the shared path 'media'")


def test_both_slots_take_what_their_processes_may() -> None:
    needs = fit.needs(description.read(TEXT), database=True)
    assert needs == {"memory_bytes": (2 * 2 * 256 + 1024) * 2**20, "connections": 5, "unlimited": []}
    assert fit.needs(description.read(TEXT), database=False)["connections"] == 0
    beside = fit.needs(description.read(TEXT), database=True, baseline=True)
    assert beside["memory_bytes"] == (3 * 2 * 256 + 1024) * 2**20, "the web processes once more, and no worker"
    assert beside["connections"] == 7
    unlimited = fit.needs(description.read(TEXT.replace("memory_max: 1G", "memory_max: 50%")), database=True)
    assert unlimited["unlimited"] == ["worker"]


@given(number=st.integers(1, 10**6), unit=st.sampled_from(["", "K", "M", "G", "T"]))
def test_sizes_are_bytes_as_systemd_reads_them(number: int, unit: str) -> None:
    assert description.size_of(f"{number}{unit}") == number * 1024 ** ["", "K", "M", "G", "T"].index(unit)


@pytest.mark.parametrize("said", ["", "infinity", "50%"])
def test_a_share_of_the_host_or_no_limit_is_no_size(said: str) -> None:
    assert description.size_of(said) is None
