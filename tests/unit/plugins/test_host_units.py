"""What a unit needs, from what systemd says of it."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import units


def state(
    load: str = "loaded", file: str = "enabled", active: str = "active", condition: str = "yes"
) -> dict[str, str]:
    return {
        "LoadState": load,
        "UnitFileState": file,
        "ActiveState": active,
        "ConditionResult": condition,
        "ConditionTimestampMonotonic": "1",
    }


@pytest.mark.parametrize(
    ("seen", "acts"),
    [
        (state(), []),
        (state(file="disabled", active="inactive"), ["enable", "start"]),
        (state(load="masked", file="masked", active="inactive"), ["unmask", "enable", "start"]),
        (state(active="failed"), ["start"]),
        (state(file="static"), []),
        (state(active="inactive", condition="no"), []),
    ],
)
def test_only_what_is_missing_is_done(seen: dict[str, str], acts: list[str]) -> None:
    assert units.acts(seen) == acts


def test_unit_that_was_never_asked_to_start_is_started() -> None:
    assert units.acts({**state(active="inactive", condition="no"), "ConditionTimestampMonotonic": "0"}) == ["start"]


def test_states_are_told_apart_by_order() -> None:
    assert units.states(["a", "b"], "LoadState=loaded\n\nLoadState=masked\n") == {
        "a": {"LoadState": "loaded"},
        "b": {"LoadState": "masked"},
    }


def test_a_file_is_its_units_or_a_drop_in_of_it() -> None:
    paths = [
        "/etc/systemd/system/ferryman-firewall.service",
        "/etc/systemd/system/nftables.service.d/ferryman.conf",
        "/etc/systemd/system/nftables.service.d/more.conf",
        "/etc/apt/apt.conf.d/52ferryman",
    ]
    assert units.of_files(paths) == {"ferryman-firewall.service": [], "nftables.service": paths[1:3]}


@pytest.mark.parametrize(
    ("load", "need", "known", "unread"),
    [
        ("loaded", "no", "/d/a.conf /d/b.conf", False),
        ("loaded", "yes", "/d/a.conf /d/b.conf", True),
        ("loaded", "no", "/d/b.conf", True),
        ("not-found", "no", "", False),
    ],
)
def test_systemd_is_told_of_what_it_has_not_read(load: str, need: str, known: str, unread: bool) -> None:
    shown = {"LoadState": load, "NeedDaemonReload": need, "DropInPaths": known}
    assert units.is_unread(shown, ["/d/a.conf"]) is unread
