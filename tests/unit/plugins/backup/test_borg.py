"""What borg says, in one sentence for people."""

import json

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import borg


def as_json(*messages: str) -> str:
    return "\n".join(json.dumps({"type": "log_message", "message": message}) for message in messages)


BROKEN = ("Killed stale lock db@1.2-0.", "Removed stale exclusive roster lock for host db@1 pid 2 thread 0.")
SAID = [
    (as_json(*BROKEN, "Repository /srv/media does not exist."), "Repository /srv/media does not exist."),
    (
        as_json(*BROKEN, "Insufficient free space to complete transaction (required: 9 MB)."),
        "the archive's disk is full",
    ),
    ('Remote:\nTraceback (most recent call last):\n  File "x"\nOSError: [Errno 28] No space left on device', "is full"),
    ("Data integrity error: Segment entry checksum mismatch\nTraceback\nPlatform: Linux", "Data integrity error"),
    (
        as_json('Traceback (most recent call last):\n\n  File "x"\n\nOSError: [Errno 28] No space left on device\n'),
        "is full",
    ),
    (as_json("Traceback:\n  File\nKeyError: 7\n", "Borg server: Platform: Linux\nPID: 1\nsys.argv: []"), "KeyError: 7"),
    ("", "it said nothing"),
]


@pytest.mark.parametrize(("said", "wanted"), SAID)
def test_the_line_that_says_why_is_told_without_what_is_beside_it(said: str, wanted: str) -> None:
    told = borg.last_words(said)
    assert wanted in told
    assert "stale" not in told
    assert "Traceback" not in told
    assert "Platform" not in told


def test_progress_says_how_much_how_fast_and_how_long_and_nothing_before_it_knows() -> None:
    line = json.dumps({"type": "progress_percent", "current": 50_000_000, "total": 150_000_000}).encode()
    assert borg.progress(line, 5.0) == "50.0 MB of 150.0 MB, 10.0 MB/s, 10 s left"
    assert borg.progress(json.dumps({"type": "progress_percent", "finished": True}).encode(), 5.0) == ""
    assert borg.progress(b"a line of another kind", 5.0) is None
