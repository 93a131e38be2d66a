"""The way by which a drill reaches the applications: one key a line, which lets in nothing but sockets."""

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, reaching, rehearsal
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing

PUBLIC = "ssh-ed25519 AAAAC3Nz ferryman:prod:rehearsal"
SITES = ["shop", "wiki"]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "authorized_keys"
    monkeypatch.setattr(reaching, "KEYS", str(path))
    return path


def test_the_key_may_run_nothing_and_reach_no_port_and_one_socket() -> None:
    words = rehearsal.line("prod", PUBLIC).split()
    options = words[0].split(",")
    assert options[:2] == ["restrict", "port-forwarding"]
    assert {'permitopen="[/run/ferryman-rehearsal/prod.sock]:*"', 'command="/bin/false"'} <= set(options)
    assert 'permitlisten="127.0.0.1:1"' in options
    assert words[1:] == ["ssh-ed25519", "AAAAC3Nz", "ferryman:prod:rehearsal"]


def test_taking_back_a_key_leaves_those_of_other_archives(keys: Path) -> None:
    other = rehearsal.line("staging", PUBLIC)
    keys.write_text(f"{other}\n{rehearsal.line('prod', PUBLIC)}\n")
    for _ in range(2):
        reaching.take_back(Placing(pretend=False), {"name": "prod"})
        assert keys.read_text() == f"{other}\n"
    reaching.take_back(Placing(pretend=False), {"name": "staging"})
    assert keys.read_text() == ""


@pytest.mark.parametrize(
    ("wanted", "host", "result", "said"),
    [
        (False, "192.0.2.11", "left out", rehearsal.OFF),
        (True, "", "not asked", rehearsal.NOWHERE),
    ],
)
def test_who_is_not_asked_is_so_by_wish_or_for_want_of_a_way(
    wanted: bool, host: str, result: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SETTINGS", str(tmp_path))
    told: dict[str, Any] = {"format": 1, "name": "prod", "sites": SITES, "wanted": wanted, "host": host}
    assert rehearsal.ask("prod", str(tmp_path), "run") == {}, "before it was provisioned"
    Path(rehearsal.settings("prod")).write_text(of.written(told))
    answers = rehearsal.ask("prod", str(tmp_path), "run")
    assert {site: (one["result"], one["said"]) for site, one in answers.items()} == dict.fromkeys(SITES, (result, said))
    assert json.dumps(answers)
