"""What is well, by the answers of hosts."""

from typing import Any

import pytest

from ferryman import release

GOOD, ILL = {"good": True, "said": "200"}, {"good": False, "said": "503"}


@pytest.mark.parametrize(
    ("answers", "well"),
    [
        ({}, False),
        ({"web1": {}}, False),
        ({"web1": {"web": GOOD}}, True),
        ({"web1": {"web": GOOD}, "web2": {"web": ILL}}, False),
    ],
)
def test_only_what_answered_well_is_well_and_silence_is_not(answers: dict[str, Any], well: bool) -> None:
    assert release.all_well(answers) is well
