"""What role cache refuses, writes, and takes for the same; and which server a host gets."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.cache import engines, settings
from hypothesis import given
from hypothesis import strategies as st

REDIS, VALKEY = engines.ENGINES
GB = 2**30
WISHED: dict[str, Any] = {
    "addresses": [], "port": 6379, "memory_mb": 128, "eviction": "allkeys-lru", "password": "long enough for it",
    "snapshots": [{"after_s": 3600, "changes": 1}, {"after_s": 60, "changes": 10000}], "settings": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "serving", "wanted"),
    [
        ('VERSION_ID="12"\n', [], REDIS),
        ('VERSION_ID="13"\n', [], VALKEY),
        ("PRETTY_NAME=sid\n", [], VALKEY),
        ('VERSION_ID="13"\n', [REDIS], REDIS),
    ],
)
def test_a_host_gets_what_its_debian_has_and_keeps_what_it_had(
    told: str, serving: list[engines.Engine], wanted: engines.Engine
) -> None:
    assert engines.choose(told, serving) == wanted


def test_what_is_wanted_alone_is_asked_for() -> None:
    assert settings.problems(WISHED, 2 * GB) == []


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"addresses": ["cache.example.org"]}, "is no address"),
        ({"addresses": ["::"]}, "no private address"),
        ({"addresses": ["203.0.114.9"]}, "no private address"),
        ({"addresses": ["127.0.0.1"]}, "listened on anyway"),
        ({"memory_mb": 1600}, "at most 1536"),
        ({"settings": {"save": ""}}, "say it by cache_snapshots"),
        ({"settings": {"dir": "/tmp"}}, "Ferryman's own"),
        ({"settings": {"hz": "10\nuser default on nopass"}}, "no setting on one line"),
        ({"settings": {"hz 10": ""}}, "no setting on one line"),
    ],
)
def test_each_wish_that_cannot_be_is_named(wish: dict[str, Any], said: str) -> None:
    (found,) = settings.problems({**WISHED, **wish}, 2 * GB)
    assert said in found


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {"addresses": ["::", "x"], "password": "short", "memory_mb": 9999, "settings": {"port": 1, "user": "x"}}
    assert len(settings.problems({**WISHED, **wrong}, 2 * GB)) == 6


def test_the_file_holds_no_password_and_both_accounts() -> None:
    wanted = settings.directives({**WISHED, "settings": {"timeout": 900, "lazyfree-lazy-expire": True}})
    text = settings.text(wanted, VALKEY, {"default": settings.digest(WISHED["password"]), "ferryman": "b" * 64})
    assert WISHED["password"] not in text
    assert "save 3600 1 60 10000\n" in text
    assert "lazyfree-lazy-expire yes\n" in text
    assert f"user ferryman reset on #{'b' * 64} ~* &* +@all\n" in text
    none = settings.text(settings.directives({**WISHED, "snapshots": []}), VALKEY, {})
    assert 'save ""\n' in none


@given(st.integers(0, 2**20), st.sampled_from([("k", 1000), ("KB", 1024), ("mb", 2**20), ("g", 10**9), ("Gb", 2**30)]))
def test_a_size_is_the_same_however_it_is_written(number: int, unit: tuple[str, int]) -> None:
    told, factor = unit
    assert settings.differing({"maxmemory": f"{number}{told}"}, {"maxmemory": str(number * factor)}) == []
    assert settings.differing({"maxmemory": f"{number}{told}"}, {"maxmemory": str(number * factor + 1)}) == [
        "maxmemory"
    ]


def test_what_is_not_told_differs() -> None:
    assert settings.differing({"hz": "10", "bind": "127.0.0.1 -::1"}, {"bind": "127.0.0.1  -::1"}) == ["hz"]
