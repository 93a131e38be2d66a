"""What an entry is told that says how the live release does: whom it asks beside, and what for."""

from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.steps import metric, step
from tests.unit.plugins.release.test_concerned import Step

ONE, TWO = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
HOSTS = {"app": ["web1"], "entry": ["web1"], "db": [], "arbiter": "web1"}
POOL = metric(name="pool", prometheus="pool_free", at_least=1)
LOG_IN = step("log in", path="/login", headers={"Authorization": "Bearer {secret:password}"})


class Judging(Step):
    """A step of a run that only asks."""

    salt = "5a17"


def asked(*, lives: tuple[str, ...] = (ONE, TWO), held: str = ONE, **values: Any) -> dict[str, Any]:
    lines = [{"run": each, "release": each, "event": "deploy", "status": "live", "schema_after": ""} for each in lives]
    checks = {"processes": {}, "health": {}, "verify": [LOG_IN], "metrics": [POOL]}
    look = {
        "shift": {"stable": "green", "release_stable": TWO},
        "ledger": {"lines": lines},
        "slots": {"blue": held, "green": TWO},
        "releases": [{"id": each, "checks": checks} for each in (ONE, TWO)],
    }
    made = Judging("web1", HOSTS, {"look-web1": look})
    made.told.update(entry_log="/var/log", **values)
    made._task = SimpleNamespace(check_mode=False)
    return made._recent()


def test_it_is_told_the_metrics_and_the_steps_of_what_is_live_with_their_secrets_and_writes_nothing() -> None:
    told = asked(secrets={"password": "p", "another": "a"}, verify_writes=["slot"])
    assert told["description"]["metrics"] == [POOL]
    assert told["verify"] == {"secrets": {"password": "p"}, "writes": [], "timeout_s": 60.0}
    assert told["recent"]["hang_s"] == 5.0


@pytest.mark.parametrize("values", [{"secrets": {}}, {"secrets": {"password": "p"}, "verify": False}])
def test_without_a_secret_that_they_want_or_where_nobody_wants_them_no_steps_are_asked(values: dict[str, Any]) -> None:
    assert "verify" not in asked(**values)


def test_beside_it_is_what_one_would_go_back_to_and_no_release_that_came_to_nothing() -> None:
    assert asked()["beside"] == ONE
    assert asked(held="20260103T000000Z-ccccccc")["beside"] == ""
    assert asked(held="")["beside"] == ""
    assert asked(lives=(TWO,))["beside"] == ""
