"""What Barman is told."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import barman

POINT = {"name": "ferryman-x-0", "before": None}


@pytest.mark.parametrize(
    ("point", "to", "words"),
    [
        (POINT, {"point": True}, "--target-name ferryman-x-0 --target-tli current --target-action promote"),
        (
            {**POINT, "before": 745},
            {"point": True},
            "--target-xid 745 --exclusive --target-tli current --target-action promote",
        ),
        (
            POINT,
            {"time": "2026-11-26T09:00:00Z"},
            "--target-time 2026-11-26T09:00:00Z --target-tli current --target-action promote",
        ),
        (POINT, {"latest": True}, "--target-tli current"),
        (POINT, {"latest": True, "line": 5}, "--target-tli 5"),
        (POINT, {"point": True, "line": 5}, "--target-name ferryman-x-0 --target-tli 5 --target-action promote"),
    ],
)
def test_each_goal_is_one_that_recovery_can_stop_at(
    point: dict[str, object], to: dict[str, object], words: str
) -> None:
    assert barman.target(point, to) == words.split()
