"""What is a hotfix and what is more: every reason is told at once, and what is one is let through."""

from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import files, names
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import hotfix, remembered
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.action import ReleaseAction
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.artifact import Artifact
from hypothesis import given
from hypothesis import strategies as st
from tests.support.histories import Repository, good, tiny

LIVE = "20260101T000000Z-aaaaaaa"
NONE: dict[str, Any] = {"run": False, "why": "", "added": [], "changed": [], "removed": []}
RUN = {**NONE, "run": True, "why": "their files have changed", "added": ["migrations/0002.json"]}


def reasons(live: str = LIVE, **more: Any) -> list[str]:
    told: dict[str, Any] = {"commit": "a" * 40, "stands_on_it": True, "dropped": [], "migrations": NONE, **more}
    return hotfix.reasons(live, **told)


@given(st.sampled_from(["", LIVE]), st.sampled_from([True, False, None]), st.booleans())
def test_only_what_stands_on_the_live_release_and_migrates_nothing_is_a_hotfix(
    live: str, stands_on_it: bool | None, migrates: bool
) -> None:
    found = reasons(live, stands_on_it=stands_on_it, migrations=RUN if migrates else NONE)
    assert (not found) == (bool(live) and stands_on_it is True and not migrates)
    if live:
        assert len(found) == (stands_on_it is not True) + migrates, "every reason is told"


def test_each_reason_names_what_is_meant() -> None:
    dropped = [{"commit": f"{number}" * 40, "subject": f"Say {number}"} for number in range(1, 6)]
    beside, migrates = reasons(stands_on_it=False, dropped=dropped, migrations=RUN)
    lost = "1111111 Say 1, 2222222 Say 2, 3333333 Say 3, 2 more"
    assert beside == f"it does not stand on {LIVE}, which is live, and would drop {lost}"
    assert migrates == "it asks the database to migrate: their files have changed (migrations/0002.json)"
    assert reasons(stands_on_it=None) == [f"{LIVE} is live, and the repository does not have its commit aaaaaaa"]
    assert reasons(stands_on_it=None, commit="") == [f"{LIVE} is live, and the ledger knows no commit of it"]


def test_the_way_out_is_a_command_that_can_be_typed() -> None:
    said = names.completed(hotfix.WAY_OUT, environment="prod", app="shop")
    assert said == "`ferryman deploy --env prod --app shop` without --hotfix goes the whole way"


class Run(ReleaseAction):
    """A run that has built a commit of a repository, where another one is live."""

    def __init__(self, repository: Repository, wanted: str, live: str, place: Any) -> None:
        """Know nothing of Ansible."""
        self.told: dict[str, Any] = {
            "hosts": {"app": ["web1"], "entry": ["web1"], "arbiter": "web1"},
            "work_dir": str(place),
        }
        described = {"migrations": {"command": "./migrate", "paths": ["migrations"]}}
        source = {"path": ".", "ref": "main", "subject": "", "committed_at": "", "dirty": False, "commit": wanted}
        line = {"release": LIVE, "status": "live", "event": "deploy", "commit": live}
        self.kept: dict[str, Any] = {
            "source": {**source, "repository": str(repository.path), "description": described},
            "look-web1": {"ledger": {"lines": [line]}},
        }
        self.built = Artifact(place, {}, listed("migrations/1", "migrations/2"))
        remembered.write(self.work_dir / "files" / "d.txt", listed("migrations/1").encode())

    def value(self, name: str, default: Any = None) -> Any:
        return self.told.get(name, default)

    def recall(self, name: str) -> dict[str, Any]:
        return dict(self.kept.get(name, {}))

    def refused(self, *, live: str = LIVE, migrate: bool = False) -> list[str]:
        return hotfix.refused(self, {"previous": live, "migrate": migrate}, self.built, {"digest": "d"})


def listed(*paths: str) -> str:
    return files.dump({path: files.Entry(path, "0644", "a" * 64, 1) for path in paths})


@pytest.fixture
def repository(tmp_path: Any) -> Repository:
    """Two commits on main, and one beside the second."""
    made = tiny(tmp_path / "tiny", good("v1"), good("v2"))
    made.git("checkout", "-q", "-b", "beside", made.commits[0])
    made.commit(good("beside"))
    return made


def test_a_run_asks_repository_ledger_and_lists_of_files(repository: Repository, tmp_path: Any) -> None:
    first, second, beside = repository.commits
    on_top = Run(repository, second, first, tmp_path / "work")
    assert on_top.refused() == []
    (migrates,) = on_top.refused(migrate=True)
    assert migrates.endswith("(migrations/2)")
    (drops,) = Run(repository, beside, second, tmp_path / "work").refused()
    assert drops.endswith(f"would drop {second[:7]} Say: v2")
    (unknown,) = Run(repository, second, "f" * 40, tmp_path / "work").refused()
    assert "does not have its commit fffffff" in unknown
    assert on_top.refused(live="", migrate=True) == ["nothing is live yet that it could mend"]


@pytest.mark.parametrize(("word", "is_one"), [(True, True), ("true", True), ("false", False), (False, False)])
def test_a_playbook_says_it_by_a_word(repository: Repository, tmp_path: Any, word: Any, is_one: bool) -> None:
    run = Run(repository, "", "", tmp_path / "work")
    stages = [{"share": 10, "for_s": 300}]
    run.told |= {"hotfix": word, "stages": stages, "ask_s": 900}
    assert run.hotfix == is_one
    assert run.stages == ([{"share": 10, "for_s": 60}] if is_one else stages)
    assert run.stages_take_s == (1020 if is_one else 1500)


def test_the_lock_says_that_it_is_one(repository: Repository, tmp_path: Any) -> None:
    run = Run(repository, "", "", tmp_path / "work")
    run.told |= {"hotfix": True, "who": "ada"}
    wanted = {"commit": "1a2b3c4" * 5}
    assert run.lock("deploy", wanted)["purpose"] == "hotfix 1a2b3c4"
    assert run.lock("rollback", {})["purpose"] == "rollback"
