"""What a key opens that an arbiter drives other hosts by, and what stands in their files of keys."""

import os
import pwd
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import driven, reaching, steps
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import handing
from hypothesis import given
from hypothesis import strategies as st

SITE, RUN, TOKEN = MAY = ("shop", "20261127T000000Z-abcdef", 7)
ACTS = ("look", "health", "verify", "wait", "able", "follow", "kept", "provision", "reach", "steps")


@given(
    site=st.sampled_from([SITE, "other"]),
    run=st.sampled_from([RUN, "20261127T000000Z-abcdee", ""]),
    token=st.integers(5, 9),
    act=st.sampled_from(ACTS),
    asked=st.lists(st.sampled_from([*steps.STEPS]), max_size=3),
)
def test_a_key_opens_the_steps_of_its_run_and_nothing_else(
    site: str, run: str, token: int, act: str, asked: list[str]
) -> None:
    request = {"site": site, "run": run, "token": token, "act": act, "steps": asked}
    mine = (site, run, token) == MAY
    may = mine and act in ("reach", "steps") and {*asked} <= driven.STEPS
    with nullcontext() if may else pytest.raises(Failed, match="and nothing else"):
        driven.require(request, SITE, RUN, TOKEN)


def test_what_takes_the_lock_or_lets_others_in_is_nothing_that_a_key_may_do() -> None:
    assert {*steps.STEPS} >= driven.STEPS
    assert not driven.STEPS & {"unlock", "free", "keep", "note", "commit", "once", "let_in", "hand_over", "maintenance"}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (".ssh/authorized_keys", "~/.ssh/authorized_keys"),
        ("%h/.ssh/keys", "~/.ssh/keys"),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/{me}"),
        ("/etc/ssh/100%%/%u", "/etc/ssh/100%/{me}"),
    ],
)
def test_keys_are_written_where_the_ssh_server_reads_them(told: str, found: str) -> None:
    me = pwd.getpwuid(os.getuid())
    expected = found.replace("~", me.pw_dir).format(me=me.pw_name)
    assert driven._keys_of(me.pw_name, {"authorizedkeysfile": told}) == Path(expected).resolve()


def test_a_server_that_reads_no_file_of_keys_is_named_with_the_way_out() -> None:
    with pytest.raises(Failed, match="reads no file of keys of root") as failed:
        driven._keys_of("root", {"authorizedkeysfile": "none"})
    assert "AuthorizedKeysFile" in failed.value.hint


def test_other_keys_stay_as_they_are_with_their_owner_and_mode(tmp_path: Path) -> None:
    me, keys, host = pwd.getpwuid(os.getuid()).pw_name, tmp_path / "of" / "keys", Host(Site("shop"))
    driven._write(keys, me, ["ssh-ed25519 A ferryman-drives-shop", "# mine", "ssh-ed25519 B ferryman-drives-shop-two"])
    assert (keys.parent.stat().st_mode & 0o777, keys.stat().st_mode & 0o777) == (0o700, 0o600)
    keys.chmod(0o644)
    driven._write(keys, me, driven._others(host, keys))
    assert keys.read_text() == "# mine\nssh-ed25519 B ferryman-drives-shop-two\n"
    assert keys.stat().st_mode & 0o777 == 0o644
    assert [*keys.parent.iterdir()] == [keys]


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
