"""Which server an archive is of."""

from pathlib import Path

from ansible_collections.ferryman.ops.plugins.module_utils.backup import following
from tests.unit.plugins.backup.test_retention import record


def test_the_server_that_is_archived_is_known_by_barmans_word_else_by_the_newest_backup(tmp_path: Path) -> None:
    listed = [record(2, source={"system": "1"}), record(1, source={"system": "2"}), record(0.5, "failed")]
    identity, home = tmp_path / "identity.json", str(tmp_path)
    assert following.known_system(home, []) == ""
    assert following.known_system(home, listed) == "2"
    for damaged in ("", '{"systemid"', '{"version": "15"}'):
        identity.write_text(damaged)
        assert following.known_system(home, listed) == "2"
    identity.write_text('{"systemid": "3", "version": "15"}')
    assert following.known_system(home, listed) == "3"
