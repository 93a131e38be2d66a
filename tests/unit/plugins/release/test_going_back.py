"""What a rollback would go to, as the hosts that were reached say what they have."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import going_back
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction

OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
LEDGER = {
    "lines": [
        {"event": "deploy", "release": release, "run": release, "status": status}
        for release in (OLD, NEW) for status in ("started", "live")
    ]
}  # fmt: skip
BOTH, UNREACHED = [OLD, NEW], {"away": "it cannot be reached"}


class Looked(ReleaseAction):
    """A run that has looked at an entry, which keeps the ledger, and at two app hosts; without Ansible around it."""

    def __init__(self, *has: list[str] | dict[str, str], fenced: dict[str, Any]) -> None:
        entry = {"ledger": LEDGER, "fenced": fenced}
        told = [each if isinstance(each, dict) else {"releases": [{"id": name} for name in each]} for each in has]
        self.looks = {"look-entry1": entry, **{f"look-app{number}": each for number, each in enumerate(told, 1)}}

    def value(self, name: str, default: Any = None) -> Any:
        hosts = {"app": ["app1", "app2"], "entry": ["entry1"], "arbiter": "entry1"}
        return {"hosts": hosts}.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        return dict(self.looks.get(name, {}))


@pytest.mark.parametrize(
    ("first", "second", "target"),
    [(BOTH, BOTH, OLD), (BOTH, [NEW], ""), (BOTH, UNREACHED, OLD), ([NEW], UNREACHED, ""), (UNREACHED, UNREACHED, OLD)],
)
def test_a_rollback_goes_to_what_every_app_host_has_that_was_reached_whoever_keeps_the_ledger(
    first: list[str] | dict[str, str], second: list[str] | dict[str, str], target: str
) -> None:
    assert going_back.target(Looked(first, second, fenced={})) == target


@pytest.mark.parametrize(("reason", "target"), [("away", OLD), ("hand", "")])
def test_nobody_waits_for_what_an_app_host_lacks_that_was_left_out_before(reason: str, target: str) -> None:
    fenced = {"app2": {"for": {reason: {"why": "", "since": "", "who": "", "run": ""}}}}
    assert going_back.target(Looked(BOTH, [NEW], fenced=fenced)) == target
