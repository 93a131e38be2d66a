"""Copies off site, with restic and an S3 server that are real: sent, read there, damaged, and brought back."""

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.backup import (
    archive,
    collect,
    copies,
    frozen,
    job,
    metrics,
    offsite,
    offsite_restore,
    offsite_setup,
    paper,
    retention,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines import restic
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Soak
from tests.support.bucket import ACCESS, NAME, SECRET, Bucket
from tests.support.filesets import KIND, FileSet
from tests.unit.plugins.backup.test_retention import NOW, catalogues, record

UNSIGNED = "does not match the signature you provided"
PASSWORD = "of the copies, and of nobody else"


class OffSite:
    """An archive of one set of files, and a bucket for its copies; `wished` is what the role would say."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.files, self.bucket = FileSet(place / "set"), Bucket(place / "bucket")
        self.own = self.files.archive
        self.wished: dict[str, Any] = {
            "name": self.own.name, "repository": self.bucket.repository, "access_key": ACCESS, "secret_key": SECRET,
            "password": PASSWORD, "certificate": self.bucket.certificate, "region": "", "keep_days": 30,
            "every_s": 86400, "parts": 2, "make": True,
        }  # fmt: skip

    def write(self, **other: Any) -> None:
        """Have settings and secrets in their places, as provisioning does."""
        offsite_setup.write({**self.wished, **other}, Placing(pretend=False))

    def take(self, text: str) -> str:
        """Have one more backup that is good; return its id."""
        (self.files.roots[0] / text).write_text(text * 100)
        taken = self.files.take()
        told = collect.collect(self.files.works, of.moment(taken["began_at"]))
        assert not told["notes"]
        return str(taken["id"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OffSite]:
    """An archive that has one backup and one copy of it off site; its bucket is not served beside the tests."""
    place = tmp_path_factory.mktemp("offsite")
    patch = pytest.MonkeyPatch()
    patch.setattr(copies, "SETTINGS", str(place / "settings"))
    patch.setattr(offsite_setup, "SETTINGS", str(place / "settings"))
    patch.setattr(metrics, "METRICS", str(place / "metrics"))
    patch.setattr(restic, "CACHE", str(place / "cache"))
    found = OffSite(place)
    patch.setitem(job.ENGINES, KIND, lambda own: found.files.works)
    found.take("one")
    with found.bucket.served():
        found.write()
        sent = offsite.copy(found.own, "run")["record"]
        assert of.has_passed(sent), sent
    yield found
    patch.undo()


@pytest.fixture
def served(made: OffSite) -> Iterator[OffSite]:
    with made.bucket.served():
        yield made


def test_a_copy_holds_every_backup_and_the_metrics_tell_of_it(made: OffSite) -> None:
    (sent,) = made.own.documents(copies.DOCUMENTS)[0]
    assert sent["holds"] == [each["id"] for each in made.own.records()]
    assert copies.holding([sent]) == dict.fromkeys(sent["holds"], sent["id"])
    text = Path(made.place, "metrics", f"backup-{made.own.name}.prom").read_text()
    assert f'ferryman_backup_offsite_passed{{archive="{made.own.name}"}} 1' in text
    assert f'ferryman_backup_wrong{{archive="{made.own.name}",severity="P1"}} 0' in text
    assert not [path for path in frozen.PATHS if Path(made.own.path, path).exists()]


def test_what_is_brought_back_is_the_archive_as_it_was_copied(
    served: OffSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "USER", "root")
    before = served.files.snapshot(Path(served.own.path))
    told = back(served, tmp_path)
    home = tmp_path / served.own.name
    after = served.files.snapshot(home)
    kept = {path for path in before if not path.startswith((copies.DOCUMENTS, f"{KIND}/lock."))}
    assert {path: after.get(path) for path in kept} == {path: before[path] for path in kept}
    assert (told["result"], told["holds"]) == ("restored", [each["id"] for each in served.own.records()])
    (known,) = (of.read(path.read_text(), path.name) for path in (home / copies.DOCUMENTS).iterdir())
    assert (known["holds"], known["check"]) == (told["holds"], None)
    with pytest.raises(Trouble, match="an archive lies here already"):
        back(served, tmp_path)


def back(made: OffSite, path: Path, to: str = "latest") -> dict[str, Any]:
    """Bring the archive back below another directory."""
    (path / made.own.name).mkdir(exist_ok=True)
    where = copies.place(made.own.name, copies.settings(made.own.name) or {})
    wished = offsite_restore.Wished(made.own.name, str(path), to, 0)
    return offsite_restore.bring(restic.Restic(where, made.own.name), wished, "20261127T010203Z-abcdef")


def test_a_restore_that_was_cut_off_goes_on_with_the_same_copy(
    served: OffSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once while all of it comes, and once while it is renamed."""
    monkeypatch.setattr(archive, "USER", "root")
    begun = os.rename
    names: list[str] = []

    def cut(source: str, into: str) -> None:
        if len(names) == 1:
            raise OSError("the power went")
        names.append(into)
        begun(source, into)

    with monkeypatch.context() as patch:
        patch.setattr(restic.Restic, "bring", lambda *_: (_ for _ in ()).throw(Trouble("the network went")))
        with pytest.raises(Trouble, match="the network went"):
            back(served, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", cut)
        with pytest.raises(OSError, match="the power went"):
            back(served, tmp_path)
    told = back(served, tmp_path)
    assert told["holds"] == [each["id"] for each in served.own.records()]
    assert not list((tmp_path / served.own.name).glob(".*"))


def test_what_is_held_for_a_copy_stays_as_it_was_while_others_write(made: OffSite) -> None:
    tree = Path(made.own.path, frozen.PATHS[0])
    (tree / "records" / "left by one that was killed").mkdir(parents=True)
    with frozen.frozen(made.own) as holds:
        assert {path.stem for path in (tree / "records").iterdir()} == set(holds)
        before = made.files.snapshot(tree)
        added = made.take("while it is sent")
        assert added in [each["id"] for each in made.own.records()]
        assert made.files.snapshot(tree) == before
    assert added not in holds
    assert not tree.exists()


def test_of_a_second_copy_only_what_is_new_travels_and_every_part_is_read_in_turn(served: OffSite) -> None:
    added = served.take("two")
    sent = [offsite.copy(served.own, "run")["record"] for _ in range(2)]
    assert all(map(of.has_passed, sent))
    assert added in sent[0]["holds"]
    assert {each["engine_facts"]["read"] for each in sent} == {"1/2", "2/2"}
    assert sent[1]["engine_facts"]["sent_bytes"] < sent[1]["bytes"] / 2


@pytest.mark.parametrize("how", ["flipped", "cut", "deleted"])
def test_damage_in_the_bucket_is_found_by_the_check(made: OffSite, soak: Soak, how: str) -> None:
    """The server is begun anew each time: it remembers what it has read."""
    with made.bucket.damaged(made.bucket.packs()[0], how, soak.random()), made.bucket.served():
        assert offsite.check(made.own)["check"]["result"] == "failed"
    with made.bucket.served():
        assert offsite.check(made.own)["check"]["result"] == "passed"


def test_a_copy_that_went_from_the_bucket_is_told(served: OffSite) -> None:
    works = offsite.Copies(served.own)
    (said,) = works.read("0" * 64, "1/2")
    assert "the copy is gone from it, and this host did not drop it" in said


def test_each_way_in_which_the_target_fails_has_its_words_and_the_catalogue_has_them(
    made: OffSite,
) -> None:
    def failed() -> str:
        told = offsite.copy(made.own, "run")
        assert told["record"]["result"] == "failed"
        return str(told["record"]["reason"])

    away = failed()
    assert away.startswith(f"{made.bucket.repository}: it does not answer")
    assert "could not be removed" not in away, "nothing of it was begun"
    with made.bucket.served(secret="another"):
        assert "it refuses the access key" in failed()
    with made.bucket.served():
        for key, other, said in (
            ("password", "another than that of the repository", "the password does not open it"),
            ("certificate", "", "its certificate is not to be trusted"),
        ):
            with pytest.raises(restic.Unusable, match=said) as refused:
                made.write(**{key: other})
            assert refused.value.setting == ("backup_offsite_password" if key == "password" else "")
    shutil.move(made.bucket.data / NAME, made.bucket.place / "emptied")
    try:
        with made.bucket.served():
            assert "the repository is gone, or the address is another; to begin a new one, remove" in failed()
    finally:
        shutil.rmtree(made.bucket.data / NAME, ignore_errors=True)
        shutil.move(made.bucket.place / "emptied", made.bucket.data / NAME)
    with made.bucket.served():
        assert of.has_passed(offsite.copy(made.own, "run")["record"])


def test_no_secret_is_in_an_argument_or_in_the_environment(made: OffSite) -> None:
    works = offsite.Copies(made.own)
    with works._opened() as (settings, words, descriptors):
        told = " ".join([*settings, *settings.values(), *words])
        read = [Path(f"/proc/self/fd/{each}").read_text() for each in descriptors]
    assert not [secret for secret in (PASSWORD, ACCESS, SECRET) if secret in told]
    assert all(any(secret in text for text in read) for secret in (PASSWORD, ACCESS, SECRET))
    assert not [secret for secret in (PASSWORD, ACCESS, SECRET) if secret in repr(works.place)]


def test_the_paper_has_where_the_copies_are_and_what_opens_them(made: OffSite) -> None:
    told = paper.text(made.own.name, [], "", None, paper.off_site(made.own), NOW)
    assert f">{PASSWORD}<" in told
    assert f"restic --repo '{made.bucket.repository}' restore latest --host {made.own.name}" in told
    assert SECRET not in told, "the provider gives another"


def test_without_a_repository_nothing_is_sent_any_more_and_no_secret_stays(made: OffSite, tmp_path: Path) -> None:
    place = made.place / "settings"
    shutil.copytree(place, tmp_path / "kept")
    try:
        made.write(repository="")
        assert [path for path in place.rglob("*") if path.is_file()] == []
        with pytest.raises(Trouble, match="goes off site: set backup_offsite_repository"):
            offsite.copy(made.own, "run")
    finally:
        shutil.rmtree(place)
        shutil.copytree(tmp_path / "kept", place)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"repository": "s3:http://s3.example.org/b"}, "backup_offsite_repository: 's3:http://s3.example.org/b' is no"),
        ({"repository": "s3:https://s3.example.org"}, "backup_offsite_repository: "),
        ({"access_key": ""}, "backup_offsite_access_key: it is empty"),
        ({"secret_key": "a\nb"}, "backup_offsite_secret_key: it is empty, or holds what no key holds"),
        ({"password": "short"}, "backup_offsite_password: at least 20 characters"),
        ({"certificate": "mine"}, "backup_offsite_certificate: it is no certificate"),
        ({"region": "eu west"}, "backup_offsite_region: 'eu west'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(wrong: dict[str, str], said: str) -> None:
    good = {
        "name": "prod", "repository": "s3:https://s3.example.org:9000/b/prod", "access_key": ACCESS,
        "secret_key": SECRET, "password": PASSWORD, "certificate": "", "region": "eu-west-1",
    }  # fmt: skip
    assert offsite_setup.problems(good) == []
    (found,) = offsite_setup.problems({**good, **wrong})
    assert found.startswith(said)
    assert not [secret for secret in (wrong.get("password"), wrong.get("secret_key")) if secret and secret in found]


def copy_of(days: float, read: str, state: str = "passed") -> dict[str, Any]:
    """The record of a copy of so many days ago."""
    return {**record(days, state), "set": of.OFFSITE, "engine_facts": {"read": read}, "holds": []}


@given(st.integers(1, 256), st.integers(0, 600))
def test_after_as_many_copies_as_there_are_parts_every_part_was_read(parts: int, before: int) -> None:
    copy, read = copy_of(700, f"{before}/{parts}"), []
    for number in range(parts):
        read.append(copies.turn([copy], parts))
        copy = copy_of(600 - number, read[-1])
    assert sorted(int(each.partition("/")[0]) for each in read) == list(range(1, parts + 1))


@given(catalogues)
def test_nothing_is_wanting_exactly_where_the_newest_of_every_set_has_passed(records: list[dict[str, Any]]) -> None:
    whole = [of.newest(records, kind, of.is_whole) for kind in of.SETS]
    good = all(one is not None and of.has_passed(one) for one in whole)
    assert (copies.wanting(records, list(of.SETS)) == []) is good


snapshots = st.lists(
    st.integers(0, 10**6).map(lambda age: restic.Snapshot(f"{age:x}", f"{of.stamp(NOW - age)}-offsite")),
    min_size=1, unique_by=lambda one: one.name,
).map(lambda found: sorted(found, key=lambda one: one.name))  # fmt: skip


@given(snapshots, st.integers(0, 10**6))
def test_the_copy_of_a_moment_is_the_last_that_was_not_begun_after_it(found: list[restic.Snapshot], age: int) -> None:
    moment, before = NOW - age, [each for each in found if each.at <= NOW - age]
    assert offsite_restore.chosen(found, "latest") == found[-1]
    assert offsite_restore.chosen(found, found[0].name) == found[0]
    if before:
        assert offsite_restore.chosen(found, of.said(moment)) == max(before, key=lambda one: one.at)
    else:
        with pytest.raises(Trouble, match="means no copies: take one of "):
            offsite_restore.chosen(found, of.said(moment))


def test_where_no_copy_is_nothing_can_be_chosen() -> None:
    with pytest.raises(Trouble, match="no copy of this archive is there"):
        offsite_restore.chosen([], "latest")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Fatal: wrong password or no key found", "the password does not open it"),
        (f"Stat: Access Denied.\n{restic.ASKED}?", "it refuses the access key"),
        (f"Stat: The request signature we calculated {UNSIGNED}. {restic.ASKED}?", "it refuses the access key"),
        (f"Stat: The specified bucket does not exist.\n{restic.ASKED}?", "no repository is there"),
        (f"Stat: something new.\n{restic.ASKED}?", f"restic ended with 1: Stat: something new. {restic.ASKED}?"),
        ("Load(<data/01>): The specified key does not exist", "restic ended with 1: Load(<data/01>): The specified"),
        ("write: no space left on device", "it is full"),
        ("client.PutObject: Internal Error\nFatal: unable to save snapshot", "see there whether it is full"),
        ("x509: certificate signed by unknown authority", "its certificate is not to be trusted"),
        ("dial tcp: lookup s3: no such host", "it does not answer"),
        ("unable to create lock in backend: repository is already locked by PID 1", "another one is at work on it"),
        ("something else", "restic ended with 1: something else"),
        ("", "it said nothing"),
    ],
)
def test_what_restic_says_is_told_as_what_it_means(text: str, meant: str) -> None:
    place = restic.Place("s3:https://s3.example.org/b/prod", PASSWORD, ACCESS, SECRET)
    assert meant in str(restic.why(place, 1, text))
    assert dataclasses.asdict(place)["password"] == PASSWORD


@given(st.lists(st.builds(copy_of, st.integers(0, 300), st.just("1/2"), st.sampled_from(["passed", "bad", "failed"])),
                unique_by=lambda one: one["id"]), st.integers(1, 90))  # fmt: skip
def test_no_copy_goes_before_a_newer_one_has_passed(listed: list[dict[str, Any]], days: int) -> None:
    for kept in retention.copies(listed, days, NOW):
        if not kept.keep:
            gone = next(one for one in listed if one["id"] == kept.id)
            assert any(one["began_at"] > gone["began_at"] and of.has_passed(one) for one in listed)
