"""What is said with a site's names."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import names


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("`status` says who", "`ferryman status --env prod --app shop` says who"),
        ("`provision` gives out ports", "`ferryman provision --env prod` gives out ports"),
        ("`rollback --to RELEASE` goes", "`ferryman rollback --to RELEASE --env prod --app shop` goes"),
        ("`rm /x`, and provision writes it", "`rm /x`, and provision writes it"),
        ("", ""),
    ],
)
def test_commands_in_a_hint_are_whole_and_stay_so(hint: str, said: str) -> None:
    assert names.completed(hint, environment="prod", app="shop") == said
    assert names.completed(said, environment="prod", app="shop") == said
