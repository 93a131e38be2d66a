"""The host as steps see it: tokens that only rise, a lock that its holder may ask for twice, words for damage."""

import json
import threading
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import (
    WAYS_OUT,
    Failed,
    Host,
    deciding,
    read_json,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site


def test_a_token_is_never_lowered_by_sessions_at_once(site: Site) -> None:
    wrong = []

    def admit(token: int) -> None:
        try:
            Host(site, token=token).admit()
        except Failed:
            if token == 40:
                wrong.append(token)

    threads = [threading.Thread(target=admit, args=(1 + (7 * number) % 40,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert read_json(site.state / "token.json")["token"] == 40
    with pytest.raises(Failed, match="another run came in between"):
        Host(site, token=39).admit()


def test_a_look_leaves_no_token(site: Site) -> None:
    Host(site, token=7, check=True).admit()
    assert not site.state.exists()


def test_whoever_decides_may_ask_again_and_another_waits(site: Site) -> None:
    mine, order = Host(site), []

    def guard() -> None:
        with deciding(Host(site)):
            order.append("guard")

    other = threading.Thread(target=guard)
    with deciding(mine):
        other.start()
        with deciding(mine):
            order.append("mine")
        other.join(0.2)
        order.append("done")
    other.join(5)
    assert order == ["mine", "done", "guard"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x"}', "\ufffd"])
@pytest.mark.parametrize("name", [*WAYS_OUT, "other.json"])
def test_a_damaged_file_is_named_with_a_way_out(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Failed, match="damaged") as failed:
        read_json(tmp_path / name)
    assert str(tmp_path / name) in str(failed.value)
    assert failed.value.hint
    if name in WAYS_OUT:
        assert str(tmp_path) in failed.value.hint


def test_what_is_written_for_a_damaged_shift_is_a_shift() -> None:
    text = WAYS_OUT["shift.json"].format(path=Path("/s/shift.json"))
    assert json.loads(text[text.index("{") :])["stable"] == "green"


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text('{"format": 2}')
    with pytest.raises(Failed, match="newer Ferryman"):
        read_json(tmp_path / "lock.json")
