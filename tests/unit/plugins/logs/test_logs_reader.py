"""What a reading of a host rests on."""

import glob
import json
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.logs import reader


def test_a_secret_that_a_deploy_removes_meanwhile_ends_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "shop/secrets/KEY"
    kept.parent.mkdir(parents=True)
    kept.write_text("correct-horse")
    monkeypatch.setattr(glob, "glob", lambda *_: [str(kept), str(kept.with_name("GONE"))])
    assert reader._secrets() == {"KEY of shop": "correct-horse"}


@pytest.mark.parametrize(("said", "told"), [("", "r2"), ("r7", "r7")])
def test_a_request_has_its_release_from_slot_and_time_where_the_application_names_none(
    said: str, told: str, tmp_path: Path
) -> None:
    host = reader.Host({"shop": "shop"}, str(tmp_path), str(tmp_path))
    host.journal.turns = {"shop": {"blue": [(1_000_000, "r1"), (5_000_000, "r2")]}}
    line = {"epoch": 6.5, "arm": "blue", "release": said, "method": "GET", "path": "/", "status": 200}
    entry = host.logs[f"{tmp_path}/shop.access.json"].parse(json.dumps(line), "shop")
    assert entry
    assert entry["release"] == told
