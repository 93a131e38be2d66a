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
    """A host with a site."""
    monkeypatch.setattr(names, "SITES", tmp_path / "state")
    return Host(names.Site("shop"))


def refuses(monkeypatch: pytest.MonkeyPatch, *, left: str) -> None:
    """Let systemctl refuse to stop what matches, and list what is `left` of it."""

    def systemctl(_: Host, *words: str, **__: float) -> str:
        if words[0] == "stop":
            raise Failed(f"systemctl stop {PATTERN} failed (5)", evidence=["Unit not loaded."])
        assert words[-1] == PATTERN
        return left

    monkeypatch.setattr(Host, "systemctl", systemctl)


def test_a_timer_that_is_gone_as_it_is_stopped_is_no_failure(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(monkeypatch, left="")
    systemd.stop_matching(host, PATTERN)


def test_a_timer_that_goes_on_though_it_was_stopped_is_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    refuses(monkeypatch, left=f"{PATTERN.replace('*', '17')} loaded active waiting /usr/bin/python3\n")
    with pytest.raises(Failed, match="failed"):
        systemd.stop_matching(host, PATTERN)
