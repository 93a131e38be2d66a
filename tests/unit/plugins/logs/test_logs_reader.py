"""What a reading of a host rests on."""

import glob
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
