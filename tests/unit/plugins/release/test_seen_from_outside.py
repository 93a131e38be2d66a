"""What an entry answers its clients once they are moved: one bad answer decides nothing, two in a row do."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import shift
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host, Unwell
from tests.support.placed import Placed

ENTRY = {"domain": "tiny.localhost", "port": 443}
DESCRIBED = {"processes": {}, "health": {"checks": [{"name": "shop", "path": "/shop", "status": 200, "timeout_s": 3}]}}


@pytest.mark.parametrize(
    ("answers", "asked"), [([200], 1), ([503, 200], 2), ([503, 503], 2), ([503, 503, 200], 2)], ids=str
)
def test_a_check_that_fails_once_is_asked_once_more_and_then_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[int], asked: int
) -> None:
    coming = iter(answers)

    def get(_: Any, path: str, **__: Any) -> tuple[int, dict[str, str], str]:
        return next(coming) if path == "/shop" else 200, {}, '{"slot": "green"}'

    monkeypatch.setattr(shift, "get", get)
    monkeypatch.setattr(shift, "app_logs", lambda *_: [])
    monkeypatch.setattr(shift, "AGAIN_S", 0)
    host = Host(Placed("tiny", place=tmp_path), run="run", token=1)
    if answers[:2] == [503, 503]:
        with pytest.raises(Unwell, match=r"/shop \(shop\) answers 503"):
            shift.verify(host, ENTRY, DESCRIBED, slot="green", release="r")
    else:
        shift.verify(host, ENTRY, DESCRIBED, slot="green", release="r")
    assert len([*coming]) == len(answers) - asked
