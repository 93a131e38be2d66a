"""Which plan can be followed, and what provisioning would do otherwise than it says."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman import following, release
from ferryman.errors import Stop

PLAN = {
    "format": 1, "environment": "prod", "app": "shop", "made_at": "2026-11-26T10:30:00Z", "conditions": {},
    "wanted": {"commit": "9" * 40, "ref": "main", "dirty": False}, "provision": {"changes": []}, "refused": [],
}  # fmt: skip
INSTALLED = {"role": "nginx", "packages": [], "did": [], "diff": []}


def file_of(path: Path, **more: Any) -> Path:
    path.write_text(json.dumps({**PLAN, **more}))
    return path


def asked(*, plan: str, ref: str = "") -> None:
    release.deploy("prod", app="", ref=ref, allow_dirty=False, wait=0, partial=0, plan=plan, detach=False)


@pytest.mark.parametrize(
    ("more", "said", "way_out"),
    [
        ({"format": 2}, "format 2, not 1", "newer"),
        ({"format": None}, "format None", "plan --out"),
        ({"wanted": {"dirty": True}}, "in no commit", "commit them"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused_with_the_way_out(
    tmp_path: Path, more: dict[str, Any], said: str, way_out: str
) -> None:
    with pytest.raises(Stop, match=said) as stop:
        asked(plan=str(file_of(tmp_path / "p", **more)))
    assert way_out in stop.value.hint


@pytest.mark.parametrize(("text", "said"), [("", "not JSON"), ("[]", "format None"), ('{"format": 1}', "lacks parts")])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(Stop, match=said):
        following.read(tmp_path / "plan.json")
    with pytest.raises(Stop, match="No such file"):
        following.read(tmp_path / "gone.json")


def test_a_plan_of_another_environment_or_application_is_refused_with_the_option_that_is_meant(tmp_path: Path) -> None:
    told = following.read(file_of(tmp_path / "plan.json"))
    following.require_of(told, "prod", "shop", tmp_path)
    with pytest.raises(Stop, match="for environment prod, not for staging") as stop:
        following.require_of(told, "staging", "shop", tmp_path)
    assert "--env prod" in stop.value.hint
    with pytest.raises(Stop, match="for app shop, not for blog"):
        following.require_of(told, "prod", "blog", tmp_path)


def test_a_plan_and_a_commit_are_not_both_named() -> None:
    with pytest.raises(Stop, match="--plan says what is deployed"):
        asked(ref="main", plan="plan.json")


changed = st.lists(
    st.builds(lambda host, task, path: {**INSTALLED, "host": host, "task": task, "paths": {path: "new"}},
              st.sampled_from(["web1", "web2"]), st.sampled_from(["a", "b"]), st.sampled_from(["/x", "/y"])),
    max_size=4,
)  # fmt: skip


@given(changed, changed)
def test_provisioning_that_would_do_something_else_is_told_and_none_other(one: Any, other: Any) -> None:
    then, now = ({"provision": {"changes": changes}, "refused": []} for changes in (one, other))
    told = following.changed(then, now)
    in_order = [sorted(json.dumps(each, sort_keys=True) for each in changes) for changes in (one, other)]
    assert (told == []) == (in_order[0] == in_order[1])
    assert following.changed(then, then) == []
    assert all(each["host"] in str(told) for each in other if each not in one)


def test_a_new_reason_to_refuse_a_deploy_is_told_and_one_that_the_plan_told_is_not() -> None:
    full, held = (
        {"host": "web1", "reason": reason, "hint": ""} for reason in ("its disk is full", "ada holds the lock")
    )
    told = {"provision": {"changes": []}, "refused": [full]}
    assert following.changed(told, told) == []
    assert following.changed(told, {**told, "refused": [full, held]}) == [
        "a deploy would be refused now: web1: ada holds the lock"
    ]
