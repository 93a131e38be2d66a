"""What of a cache is compared after a restore, and what says that there is too little memory to look."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.cache import contents
from hypothesis import given
from hypothesis import strategies as st

HELD: dict[str, Any] = {"server": "valkey 8.1.1", "keys": {"0": 12, "3": 1}, "digest": "ab" * 20}
GB = 2**30


def test_a_cache_as_it_was_differs_in_nothing() -> None:
    assert contents.differences(HELD, {**HELD}) == []
    assert contents.total(HELD) == 13


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"keys": {"0": 11, "3": 1}}, ["database 0 has other keys: 11 for 12"]),
        ({"keys": {"0": 12}}, ["database 3 has other keys: 0 for 1"]),
        ({"keys": {"0": 12, "3": 1, "10": 2}}, ["database 10 has other keys: 2 for 0"]),
        ({"digest": "cd" * 20}, ["as many keys as there were have other values"]),
        ({"digest": "cd" * 20, "server": "valkey 9.0.0"}, []),
        ({"keys": {"0": 11, "3": 1}, "server": "valkey 9.0.0"}, ["database 0 has other keys: 11 for 12"]),
    ],
)
def test_each_difference_is_named(found: dict[str, Any], said: list[str]) -> None:
    assert contents.differences(HELD, {**HELD, **found}) == said


@given(st.dictionaries(st.integers(0, 15), st.integers(1, 10**9)))
def test_keys_are_read_as_info_tells_them(counts: dict[int, int]) -> None:
    told = {f"db{number}": f"keys={count},expires=1,avg_ttl=5" for number, count in counts.items()}
    assert contents.keys({**told, "other": "1"}) == {str(number): count for number, count in counts.items()}


def test_too_little_memory_is_said_with_what_helps() -> None:
    assert contents.short_of_memory(GB, 2 * GB) == ""
    said = contents.short_of_memory(GB, GB)
    assert "1228 MB are needed and 1024 MB are free: lower cache_memory_mb" in said
    assert contents.available("MemTotal: 9 kB\nMemAvailable:    2048 kB\n") == 2 * 2**20
