"""What a key opens that an arbiter drives other hosts by, and what is told of it."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import driven, names, reaching, steps
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, read_json
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import handing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SITE, RUN, TOKEN = MAY = ("shop", "20261127T000000Z-abcdef", 7)
ACTS = ("look", "health", "verify", "wait", "able", "follow", "kept", "provision", "reach", "steps")


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(names, "SITES", tmp_path / "sites")
    monkeypatch.setattr(driven, "SUDOERS", tmp_path)
    return tmp_path


def let_in(sites: Path, site: str = SITE, *, token: int = TOKEN, left_s: float = 100) -> Host:
    host = Host(Site(site), run=RUN, token=token)
    way = {"run": RUN, "token": token, "until": time.time() + left_s, "account": "root", "keys": str(sites / "keys")}
    host.write_json(host.site.way, {"format": 1, **way})
    return host


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    site=st.sampled_from([SITE, "other"]),
    run=st.sampled_from([RUN, "20261127T000000Z-abcdee", ""]),
    token=st.integers(5, 9),
    act=st.sampled_from(ACTS),
    asked=st.lists(st.sampled_from([*steps.STEPS]), max_size=3),
)
def test_a_key_opens_the_steps_of_its_run_and_nothing_else(
    sites: Path, site: str, run: str, token: int, act: str, asked: list[str]
) -> None:
    let_in(sites)
    let_in(sites, "other")
    may = (site, run, token) == MAY and act in ("reach", "steps") and {*asked} <= driven.STEPS
    with nullcontext() if may else pytest.raises(Failed, match="and nothing else"):
        driven.require(Host(Site(site), run=run, token=token), {"act": act, "steps": asked}, SITE, RUN)


def test_a_key_opens_nothing_once_it_was_taken_back_its_time_is_over_or_a_newer_run_came_by(sites: Path) -> None:
    host, request = let_in(sites), {"act": "steps", "steps": ["settle"]}
    driven.require(host, request, SITE, RUN)
    let_in(sites, left_s=-1)
    with pytest.raises(Failed, match="and nothing else"):
        driven.require(host, request, SITE, RUN)
    let_in(sites)
    Host(Site(SITE), run="next", token=TOKEN + 1).admit()
    with pytest.raises(Failed, match="another run came in between"):
        driven.require(host, request, SITE, RUN)
    driven.let_out(host, RUN)
    with pytest.raises(Failed, match="and nothing else"):
        driven.require(host, request, SITE, RUN)


def test_what_takes_the_lock_or_lets_others_in_is_nothing_that_a_key_may_do() -> None:
    assert {*steps.STEPS} >= driven.STEPS
    assert not driven.STEPS & {"unlock", "free", "keep", "note", "commit", "once", "let_in", "hand_over", "maintenance"}


def test_a_run_takes_back_its_own_way_and_those_of_runs_before_it_alone(sites: Path) -> None:
    host, keys = let_in(sites), sites / "keys"
    keys.write_bytes(b"# b\xfcro\nssh-ed25519 A ferryman-drives-shop\nssh-ed25519 B ferryman-drives-shop-two\n")
    driven.let_out(host, "another")
    driven.let_out_former(host)
    assert read_json(host.site.way)["run"] == RUN
    driven.let_out_former(Host(Site(SITE), run="next", token=TOKEN + 1))
    assert not host.site.way.exists()
    assert keys.read_bytes() == b"# b\xfcro\nssh-ed25519 B ferryman-drives-shop-two\n"


@pytest.mark.parametrize("text", ["{", '{"format": 1, "token": 3, "run": "r"}'])
def test_a_way_that_cannot_be_taken_back_stops_no_other_run(sites: Path, text: str) -> None:
    host = let_in(sites)
    host.site.way.write_text(text)
    driven.let_out_former(host)
    journal = (host.site.state / "journal.jsonl").read_text()
    assert '"result": "failed"' in journal


def test_a_way_that_nobody_understands_is_told_with_the_way_out(sites: Path) -> None:
    host = let_in(sites)
    host.site.way.write_text("{")
    with pytest.raises(Failed) as failed:
        read_json(host.site.way)
    assert "sudoers.d/zz-ferryman-drives-shop" in failed.value.hint


def test_a_host_is_known_by_its_address_whatever_its_port() -> None:
    way = {"address": "10.0.0.2", "port": 2222, "user": "ops", "host_keys": ["ssh-ed25519 A", "ssh-rsa B"]}
    assert reaching.known({"app1": way}).splitlines() == [
        "[10.0.0.2]:2222 ssh-ed25519 A", "10.0.0.2 ssh-ed25519 A", "[10.0.0.2]:2222 ssh-rsa B", "10.0.0.2 ssh-rsa B",
    ]  # fmt: skip


def test_nothing_is_written_down_of_what_may_be_secret() -> None:
    asked: list[str] = []

    def value(name: str) -> Any:
        asked.append(name)
        return name

    assert {*handing.digests(value)} == {*asked}
    assert not {"secrets", "env", "database"} & {*asked}
    assert "soak_s" in asked
