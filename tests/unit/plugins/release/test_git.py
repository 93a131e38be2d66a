"""Where the source is: exactly one commit, and a clear word where there is none."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git

from ferryman import worktree


def run(place: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(place), *words], check=True, text=True, capture_output=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as a pipeline has it: nobody's settings, nobody's name."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two commits, the first tagged v1, and an application in `apps/one`."""
    place = tmp_path / "source"
    (place / "apps" / "one").mkdir(parents=True)
    run(tmp_path, "init", "-q", "-b", "main", "--template=", str(place))
    for version in ("v1", "v2"):
        (place / "apps" / "one" / "page").write_text(version)
        (place / "ferryman.yml").write_text(f"name: {version}\n")
        commit(place, f"Say {version}")
        run(place, "tag", version)
    return place


def commit(place: Path, subject: str) -> str:
    run(place, "add", "-A")
    run(place, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", subject)
    return run(place, "rev-parse", "HEAD")


def find(repository: Path | str, tmp_path: Path, **words: Any) -> git.Commit:
    settings = {"path": ".", "ref": "HEAD", "allow_dirty": False, "explicit": False, **words}
    return git.find(str(repository), root=tmp_path, cache=tmp_path / "cache", **settings)


def test_the_head_of_a_clean_work_tree(repository: Path, tmp_path: Path) -> None:
    found = find(repository, tmp_path)
    assert (found.id, found.subject, found.dirty) == (run(repository, "rev-parse", "HEAD"), "Say v2", False)
    assert git.show(found, "ferryman.yml") == "name: v2\n"
    assert git.show(found, "nothing") is None


@pytest.mark.parametrize("ref", ["v1", "main~1", "refs/tags/v1"])
def test_a_ref_that_is_named(repository: Path, tmp_path: Path, ref: str) -> None:
    assert find(repository, tmp_path, ref=ref, explicit=True).subject == "Say v1"
    assert find(repository, tmp_path, ref=run(repository, "rev-parse", "v1")[:7], explicit=True).subject == "Say v1"


@pytest.mark.parametrize("ref", ["v3", "--all", "-x", "", "HEAD:apps", "v1..v2"])
def test_what_is_no_commit_is_refused(repository: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(AnsibleError, match=r"has no commit|nor a ref"):
        find(repository, tmp_path, ref=ref, explicit=True)


@pytest.mark.parametrize(("path", "ref"), [(".", "v3"), ("../elsewhere", "main")])
def test_a_refusal_names_the_repository_and_not_the_way_to_it(
    repository: Path, path: str, ref: str, tmp_path: Path
) -> None:
    with pytest.raises(AnsibleError, match=str(repository)):
        git.find(".", root=repository, path=path, ref=ref, cache=tmp_path / "cache", allow_dirty=False, explicit=True)
    with pytest.raises(AnsibleError, match=f"file://{repository} has no commit"):
        git.find(
            f"file://{repository}", root=tmp_path, path=".", ref="v3", cache=tmp_path / "cache",
            allow_dirty=False, explicit=True,
        )  # fmt: skip


def test_changes_that_are_in_no_commit_are_refused_by_name(repository: Path, tmp_path: Path) -> None:
    (repository / "apps" / "one" / "page").write_text("changed")
    (repository / "new").write_text("new")
    with pytest.raises(AnsibleError, match=r"apps/one/page, new.*--allow-dirty"):
        find(repository, tmp_path)
    assert find(repository, tmp_path, ref="v2", explicit=True).subject == "Say v2", "a commit was named"


def test_changes_beside_the_application_are_none_of_its(repository: Path, tmp_path: Path) -> None:
    (repository / "ferryman.yml").write_text("changed")
    assert not find(repository, tmp_path, path="apps/one").dirty


def test_a_dirty_tree_is_taken_as_it_is_and_named_so(repository: Path, tmp_path: Path) -> None:
    (repository / ".gitignore").write_text("*.log\n")
    (repository / "noise.log").write_text("x")
    (repository / "new").write_text("new")
    (repository / "apps" / "one" / "page").unlink()
    run(repository, "add", "new")
    before = (
        run(repository, "status", "--porcelain"),
        run(repository, "rev-parse", "HEAD"),
        run(repository, "branch", "-a"),
    )
    found = find(repository, tmp_path, allow_dirty=True)
    assert found.dirty
    assert found.id != before[1]
    assert set(run(repository, "ls-tree", "-r", "--name-only", found.id).split()) == {
        ".gitignore",
        "ferryman.yml",
        "new",
    }
    assert before == (
        run(repository, "status", "--porcelain"),
        run(repository, "rev-parse", "HEAD"),
        run(repository, "branch", "-a"),
    )
    assert not list((repository / ".git").glob("ferryman*"))


def test_a_directory_inside_of_a_repository_is_a_place_to_name(repository: Path, tmp_path: Path) -> None:
    for found in (
        find(repository / "apps" / "one", tmp_path),
        find(repository / "apps", tmp_path, path="one"),
        find(repository, tmp_path, path="apps/one/"),
        find(repository, tmp_path, path="./apps/./one"),
    ):
        assert found.path == "apps/one"
        assert git.show(found, "page") == "v2"


def test_a_path_that_leaves_the_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="neither a directory"):
        find(repository, tmp_path, path="../other")


def test_a_bare_repository_has_nothing_to_be_dirty(repository: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    assert find("bare.git", tmp_path, path="apps/one").subject == "Say v2"


def test_a_repository_elsewhere_is_mirrored_and_brought_up_to_date(repository: Path, tmp_path: Path) -> None:
    url = repository.as_uri()
    assert find(url, tmp_path).subject == "Say v2"
    commit_(repository, "v3")
    assert find(url, tmp_path).subject == "Say v3"
    run(repository, "branch", "other", "v1")
    assert find(url, tmp_path, ref="other", explicit=True).subject == "Say v1"


def test_several_runs_at_once_share_the_mirror_of_a_repository_elsewhere(repository: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as runs:
        for version in ("v3", "v4", "v5"):
            found = list(runs.map(lambda _: find(repository.as_uri(), tmp_path).subject, range(4)))
            assert found == [run(repository, "log", "-1", "--format=%s")] * 4
            commit_(repository, version)


def test_several_runs_at_once_take_a_dirty_tree_as_it_is(repository: Path, tmp_path: Path) -> None:
    (repository / "new").write_text("new")
    with ThreadPoolExecutor(4) as runs:
        found = list(runs.map(lambda _: find(repository, tmp_path, allow_dirty=True), range(8)))
    assert len({run(repository, "rev-parse", f"{each.id}^{{tree}}") for each in found}) == 1


def commit_(place: Path, version: str) -> None:
    (place / "ferryman.yml").write_text(f"name: {version}\n")
    commit(place, f"Say {version}")


def test_a_shallow_clone_has_its_head_and_says_why_it_has_no_more(repository: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    assert find("shallow", tmp_path).subject == "Say v2"
    with pytest.raises(AnsibleError, match="fetch --unshallow"):
        find("shallow", tmp_path, ref=run(repository, "rev-parse", "v1"), explicit=True)


def test_what_is_no_repository_is_said(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(AnsibleError, match="not a git repository"):
        find("plain", tmp_path)
    run(tmp_path, "init", "-q", "empty")
    with pytest.raises(AnsibleError, match="no commit 'HEAD'"):
        find("empty", tmp_path)
    (tmp_path / "empty" / "page").write_text("v1")
    with pytest.raises(AnsibleError, match="has no commit yet; `git add`"):
        find("empty", tmp_path, allow_dirty=True)
    with pytest.raises(AnsibleError, match="clone"):
        find("missing", tmp_path)


def test_a_subject_of_any_letters_is_read(repository: Path, tmp_path: Path) -> None:
    (repository / "x").write_text("x")
    commit(repository, "Say «ü» | %s $x")
    assert find(repository, tmp_path).subject == "Say «ü» | %s $x"


@pytest.mark.parametrize(
    ("at", "path", "changed"),
    [
        (".", ".", "new"),
        (".", "apps/one", "apps/one/page"),
        ("apps", "one", "apps/one/page"),
        (".", "apps/one", "beside"),
        (".", ".", ""),
    ],
)
def test_a_deploy_is_refused_before_it_begins_by_the_words_that_would_end_it(
    repository: Path, tmp_path: Path, at: str, path: str, changed: str
) -> None:
    if changed:
        (repository / changed).write_text("v3")
    place = str((repository / at).relative_to(tmp_path))
    said = worktree.refusal(tmp_path, {"repository": place, "path": path})
    assert bool(said) == (changed not in ("", "beside"))
    if said:
        with pytest.raises(AnsibleError) as later:
            find(place, tmp_path, path=path)
        assert said == str(later.value)
    else:
        assert not find(place, tmp_path, path=path).dirty


def test_what_is_no_repository_is_said_before_a_deploy_begins_and_one_elsewhere_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(AnsibleError) as later:
        find("plain", tmp_path)
    assert worktree.refusal(tmp_path, {"repository": "plain", "path": "."}) == str(later.value)
    assert worktree.refusal(tmp_path, {"repository": "git@forge.test:shop.git", "path": "."}) == ""


def test_a_commit_is_led_to_by_those_before_it_and_by_none_beside_it(repository: Path, tmp_path: Path) -> None:
    first, second = (run(repository, "rev-parse", ref) for ref in ("v1", "v2"))
    run(repository, "checkout", "-q", "-b", "beside", "v1")
    (repository / "beside").write_text("x")
    beside = commit(repository, "Say it beside")
    found = find(repository, tmp_path, ref="v2", explicit=True)
    assert [git.leads_to(each, found) for each in (first, second, beside, "f" * 40)] == [True, True, False, None]
    older = find(repository, tmp_path, ref="v1", explicit=True)
    assert git.leads_to(second, older) is False
