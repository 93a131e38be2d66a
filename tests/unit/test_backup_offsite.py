"""What people are told of copies off site, and what they may type."""

import pytest

from ferryman import backup_offsite
from ferryman.errors import Stop

RECORD = {
    "id": "20261127T040000Z-offsite", "bytes": 31_000_000, "duration_s": 6.4,
    "engine_facts": {"sent_bytes": 1_000_000, "read": "3/28"},
}  # fmt: skip
TOLD = {"environment": "prod", "repository": "s3:https://s3.example.org/b/prod", "record": RECORD, "check": False}


def test_a_copy_that_was_sent_says_what_was_new_and_what_was_read_again() -> None:
    assert backup_offsite.copied(TOLD) == (
        "s3:https://s3.example.org/b/prod holds 20261127T040000Z-offsite: 31.0 MB, of it 1.0 MB new, in 6 s; "
        "part 3/28 of the data there was read again"
    )
    assert backup_offsite.copied({**TOLD, "check": True}).endswith("and all data there is as it was written")


def test_an_archive_that_is_back_is_told_with_what_to_type_next() -> None:
    job = {"backup": RECORD["id"], "of": "2026-11-27T04:00:00Z", "into": "/srv/backups/prod", "duration_s": 9.0}
    told = backup_offsite.brought({"environment": "prod", "brought": {**job, "holds": ["one", "two"]}}).splitlines()
    assert told[0].endswith("of 2026-11-27T04:00:00Z, is in /srv/backups/prod after 9 s: 2 backups")
    assert told[1].endswith("provision --env prod` takes it up")


def test_a_restore_from_elsewhere_or_of_a_part_is_refused() -> None:
    with pytest.raises(Stop, match="there is no place 'tape' to restore from"):
        backup_offsite.bring_back("", source="tape", to="latest", plain=True)
    with pytest.raises(Stop, match="brings the whole archive back"):
        backup_offsite.bring_back("", source="offsite", to="latest", plain=False)
