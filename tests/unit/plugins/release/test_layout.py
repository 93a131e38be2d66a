"""Any number of entries, app and database hosts is served; what cannot work is refused in a sentence."""

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import layout


@pytest.mark.parametrize("db", [[], ["one"], ["two"]])
@pytest.mark.parametrize(
    ("entry", "app", "arbiter"),
    [
        (["one"], ["one"], "one"),
        (["one"], ["one", "two"], "one"),
        (["one"], ["two", "three"], "one"),
        (["one", "two"], ["one", "two"], "two"),
        (["one", "two"], ["three", "four", "five"], "one"),
    ],
)
def test_a_release_goes_to_any_number_of_hosts(entry: list[str], app: list[str], arbiter: str, db: list[str]) -> None:
    assert layout.refusal({"entry": entry, "app": app, "arbiter": [arbiter], "db": db}) == ""


@pytest.mark.parametrize(
    ("entry", "app", "arbiter", "said"),
    [
        ([], ["one"], ["one"], "there is no entry"),
        (["one"], [], ["one"], "there is no app host"),
        (["one"], ["one"], ["two"], "the lock is kept on two (lock_host), which is none of the entries: one"),
        (["one", "two"], ["three"], ["three"], "which is none of the entries: one, two"),
        (["one"], ["one"], [], "the lock is kept on  (lock_host)"),
    ],
)
def test_what_cannot_work_is_refused_by_name(entry: list[str], app: list[str], arbiter: list[str], said: str) -> None:
    assert said in layout.refusal({"entry": entry, "app": app, "arbiter": arbiter})
