"""Operators' keys beside other people's lines."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.host import keys
from hypothesis import given
from hypothesis import strategies as st

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb4TlZ4nRhUPTmGPv9SdMtjp4cNNB6JpeLKIKJrBmhk ada"
LINES = st.lists(st.text(alphabet="abc #-", min_size=1, max_size=8))


@given(LINES, LINES)
def test_other_lines_stay_where_they_are(above: list[str], below: list[str]) -> None:
    text = "".join(f"{line}\n" for line in [*above, keys.BEGIN, "an old key", keys.END, *below])
    merged = keys.merge(text, [KEY])
    assert merged.splitlines() == [*above, keys.BEGIN, KEY, keys.END, *below]
    assert keys.merge(merged, [KEY]) == merged
    assert keys.merge(merged, []).splitlines() == [*above, *below]


def test_last_line_without_an_end_is_not_glued_to_ours() -> None:
    assert keys.merge("somebody's key", [KEY]).splitlines() == ["somebody's key", keys.BEGIN, KEY, keys.END]


@pytest.mark.parametrize("line", [KEY, f'from="192.0.2.0/24",no-pty {KEY}', KEY.rsplit(" ", 1)[0]])
def test_public_keys_are_known(line: str) -> None:
    assert keys.is_key(line)


@pytest.mark.parametrize(
    "line", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa " + KEY.split()[1], f"{KEY}\n{KEY}", "-----BEGIN"]
)
def test_what_is_no_public_key_is_told(line: str) -> None:
    assert not keys.is_key(line)


def test_every_mistake_is_told_at_once_and_no_private_key_is_repeated() -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXk"
    found = keys.problems(
        [
            {"name": "root", "keys": [KEY]},
            {"name": "ada", "keys": [private]},
            {"name": "bob"},
            {"name": "bob", "keys": [KEY]},
        ]
    )
    assert len(found) == 4
    assert "b3BlbnNz" not in " ".join(found)
