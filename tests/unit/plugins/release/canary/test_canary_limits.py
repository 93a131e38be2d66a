"""Limits from configuration: all that is wrong at once, and a page that tells the defaults as they are."""

import re
from dataclasses import asdict, fields
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import limits

from ferryman import paths


def test_every_wrong_value_is_told_at_once() -> None:
    given: dict[str, Any] = {"least_clients": 0, "hang_s": "five", "errors_back_percent": True, "eror_ask_s": 600}
    found, wrong = limits.read(given)
    assert found == limits.Limits()
    assert len(wrong) == 4
    assert all(name in " ".join(wrong) for name in given)


def test_a_value_that_is_right_replaces_its_default_alone() -> None:
    found, wrong = limits.read({"hang_s": 10, "least_clients": 25})
    assert not wrong
    assert asdict(found) == {**asdict(limits.Limits()), "hang_s": 10.0, "least_clients": 25}


@pytest.mark.parametrize("given", [{"false_alarms_percent": 0}, {"errors_ask_percent": 20}, {"least_clients": 2.5}])
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    assert limits.read(given)[1]


def test_the_guide_tells_every_limit_with_its_default() -> None:
    text = (paths.CHECKOUT / "docs" / "guides" / "verdict.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE))
    assert told == {each.name: f"{each.default:g}" for each in fields(limits.Limits)}
