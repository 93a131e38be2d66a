"""One host that is entry, app host and arbiter is served; whatever else is refused in a sentence."""

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import layout


@pytest.mark.parametrize("db", [[], ["one"], ["two"]])
def test_one_host_is_served_wherever_its_database_is(db: list[str]) -> None:
    assert layout.refusal({"entry": ["one"], "app": ["one"], "arbiter": ["one"], "db": db}) == ""


@pytest.mark.parametrize(
    ("entry", "app", "arbiter", "said"),
    [
        (["one", "two"], ["one", "two"], ["one"], "2 entries (one, two)"),
        ([], ["one"], ["one"], "0 entries (none)"),
        (["one"], ["one", "two"], ["one"], "app hosts are one, two"),
        (["one"], ["two"], ["one"], "app hosts are two"),
        (["one"], [], ["one"], "app hosts are none"),
        (["one"], ["one"], ["two"], "the lock is kept on two"),
    ],
)
def test_any_other_layout_is_refused_by_name(entry: list[str], app: list[str], arbiter: list[str], said: str) -> None:
    assert said in layout.refusal({"entry": entry, "app": app, "arbiter": arbiter})
