"""Which environment a host belongs to, and who is refused."""

import json
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import marker
from hypothesis import given
from hypothesis import strategies as st

ENVIRONMENTS = st.sampled_from(["dev", "staging", "prod"])


def provision(
    before: dict[str, Any] | None, environment: str, *, shared: bool = False, sites: tuple[str, ...] = ()
) -> dict[str, Any]:
    found: dict[str, Any] = marker.provision(
        before, environment, shared=shared, sites=list(sites), now="2026-11-22T10:00:00Z"
    )
    return found


def test_bare_host_is_marked_with_its_first_environment() -> None:
    assert provision(None, "prod") == {
        "format": 1,
        "environments": ["prod"],
        "shared": False,
        "provisioned_at": "2026-11-22T10:00:00Z",
    }


@pytest.mark.parametrize(("was", "wanted"), [(False, False), (False, True), (True, False)])
def test_host_is_shared_only_where_both_sides_say_so(was: bool, wanted: bool) -> None:
    with pytest.raises(marker.Refusal, match="belongs to environment prod, not to staging"):
        provision(provision(None, "prod", shared=was), "staging", shared=wanted)


def test_shared_host_lists_all_and_keeps_what_it_does_not_know() -> None:
    first = {**provision(None, "prod", shared=True), "rack": 7}
    both = provision(first, "dev", shared=True)
    assert both["environments"] == ["dev", "prod"]
    assert (both["rack"], both["provisioned_at"]) == (7, first["provisioned_at"])


def test_names_of_sites_cannot_change_under_them() -> None:
    before = provision(None, "prod")
    assert provision(before, "prod", shared=True)["shared"] is True
    with pytest.raises(marker.Refusal, match=r"names the sites on it \(notes\)"):
        provision(before, "prod", shared=True, sites=("notes",))


@given(st.lists(st.tuples(ENVIRONMENTS, st.booleans()), max_size=8))
def test_no_history_moves_a_host_from_its_first_environment(history: list[tuple[str, bool]]) -> None:
    state: dict[str, Any] | None = None
    for environment, shared in history:
        try:
            state = provision(state, environment, shared=shared)
        except marker.Refusal:
            continue
        marker.verify(state, environment)
        assert history[0][0] in state["environments"]
        assert state["shared"] or len(state["environments"]) == 1


def test_host_of_nobody_is_refused_where_it_must_be_provisioned() -> None:
    with pytest.raises(marker.Refusal, match="provision environment prod first"):
        marker.verify(None, "prod")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "names no environments"),
        (json.dumps({"format": 2, "environments": ["prod"]}), "has format 2"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(marker.Refusal, match=said):
        marker.read(text)
