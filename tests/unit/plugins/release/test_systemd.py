"""Units that others start and end while they are stopped by their names' beginning.

Requirements: REL-3.
"""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import names, systemd
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

PATTERN = "ferryman-cool:shop:blue:*.timer"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose systemctl refuses to stop a unit that it saw a moment ago."""
    monkeypatch.setattr(names, "SITES", tmp_path / "state")
    return Host(names.Site("shop"))


@pytest.mark.parametrize("left", ["", f"{PATTERN.replace('*', '17')} loaded active waiting /usr/bin/python3\n"])
def test_a_timer_that_is_gone_as_it_is_stopped_is_no_failure_and_one_that_goes_on_is(
    host: Host, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    def systemctl(_: Host, *words: str, **__: float) -> str:
        if words[0] == "stop":
            raise Failed(f"systemctl stop {PATTERN} failed (5)", evidence=["Unit not loaded."])
        assert words[-1] == PATTERN
        return left

    monkeypatch.setattr(Host, "systemctl", systemctl)
    if not left:
        systemd.stop_matching(host, PATTERN)
        return
    with pytest.raises(Failed, match="failed"):
        systemd.stop_matching(host, PATTERN)
