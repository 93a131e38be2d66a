"""A restored cluster takes the place of the one that serves: whoever is killed in the middle, one of them is there."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_server
from ansible_collections.ferryman.ops.plugins.module_utils.backup import archive, place, renames, scratch
from ansible_collections.ferryman.ops.plugins.module_utils.backup.records import Trouble

RUN = "20261128T000000Z-abcdef"


class PowerLost(BaseException):
    """Nothing after it happens."""


class Host:
    """A cluster's directory, and what a host does to it; power is lost before the act of a number.

    `broken` is what a cluster holds on which no server starts; `refuses` what cannot be done at all.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.acts, self.lost_at = root / "main", 0, -1
        self.running, self.broken, self.in_one_act, self.refuses = True, "", True, ""
        for module, name in ((os, "rename"), (os, "replace"), (os, "unlink"), (renames, "exchange")):
            monkeypatch.setattr(module, name, self._act(getattr(module, name)))
        monkeypatch.setattr(postgresql_server, "run", self._act(self._run))
        self.here = place.Place.__new__(place.Place)
        self.here.name, self.here.data = RUN, str(self.data)
        self.here.incoming, self.here.before = f"{self.data}.restored-{RUN}", f"{self.data}.before-{RUN}"
        self.here.coming, self.here.mark = f"{self.data}.coming", f"{self.data}.exchange.json"
        monkeypatch.setattr(postgresql_server.Server, "sql", lambda *_: "f\n")  # it is no standby any more
        cluster = postgresql_server.Cluster("15", "main", 5432, True, str(self.data), str(root / "log"))
        self.here.server = postgresql_server.Server(cluster)
        for path, what in ((self.data, "old"), (Path(self.here.incoming), "new")):
            path.mkdir()
            (path / "PG_VERSION").write_text(what)

    def _act(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def act(*words: Any, **more: Any) -> Any:
            if self.acts == self.lost_at:
                raise PowerLost
            self.acts += 1
            if self.refuses in (real.__name__, str(words[0])):
                self.refuses = ""
                raise OSError(errno.EBUSY, "busy")
            return real(*words, **more)

        return act

    def _run(self, words: list[str]) -> str:
        if words[0] == "systemctl":
            if self.refuses == words[1]:
                self.refuses = ""
                raise postgresql_server.Trouble("it does not stop")
            if words[1] == "start" and self.serves() == self.broken:
                raise postgresql_server.Trouble("it says why")
            self.running = words[1] == "start"
        return ""

    def serves(self) -> str:
        """Return which cluster is the one that a server would start on."""
        return (self.data / "PG_VERSION").read_text()

    def beside(self) -> dict[str, str]:
        """Return what lies beside it, by the word in its name."""
        found = {path for path in self.data.parent.iterdir() if path != self.data and path.is_dir()}
        return {path.name.removeprefix("main.").removesuffix(f"-{RUN}"): (path / "PG_VERSION").read_text()
                for path in found}  # fmt: skip

    def is_settled(self) -> bool:
        """Say whether both have their names, and nothing tells of an exchange any more."""
        return not any(Path(path).exists() for path in (self.here.coming, self.here.mark))


@pytest.fixture(params=["in one act", "by turns"])
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Host:
    """Once with a disk that exchanges two names in one act, and once with one that cannot."""
    assert renames.exchange(str(_directory(tmp_path / "one")), str(_directory(tmp_path / "other")))
    if request.param == "by turns":
        monkeypatch.setattr(renames, "exchange", lambda *_: False)
    made = Host(_directory(tmp_path / "host"), monkeypatch)
    made.in_one_act = request.param == "in one act"
    return made


def _directory(path: Path) -> Path:
    path.mkdir()
    return path


def every_loss(host: Host, act: Callable[[], object], again: Callable[[], object]) -> int:
    """Lose power before the next act of many, and begin again; return how many there were. `again` sets it back."""
    for number in range(99):
        host.acts, host.lost_at = 0, number
        try:
            act()
        except PowerLost:
            host.lost_at = -1
            again()
            continue
        return number
    raise AssertionError("it never came to its end")


def test_two_directories_take_each_others_names_in_one_act(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (_directory(tmp_path / name) / name).touch()
    assert renames.exchange(str(tmp_path / "one"), str(tmp_path / "other"))
    assert [each.name for name in ("one", "other") for each in (tmp_path / name).iterdir()] == ["other", "one"]
    with pytest.raises(FileNotFoundError):
        renames.exchange(str(tmp_path / "one"), str(tmp_path / "none"))


def test_what_served_lies_beside_what_came_and_serves_again_by_the_way_back(host: Host) -> None:
    assert host.here.switch() == {"aside": host.here.before}
    assert (host.serves(), host.beside(), host.running, host.is_settled()) == ("new", {"before": "old"}, True, True)
    assert host.here.back() == {"aside": f"{host.data}.undone-{RUN}"}
    assert (host.serves(), host.beside(), host.running, host.is_settled()) == ("old", {"undone": "new"}, True, True)


def test_what_does_not_start_leaves_what_served_and_lies_where_it_came_to(host: Host) -> None:
    host.broken = "new"
    with pytest.raises(Trouble, match="it did not start, what served before serves again"):
        host.here.switch()
    assert (host.serves(), host.beside(), host.running, host.is_settled()) == ("old", {"restored": "new"}, True, True)


@pytest.mark.parametrize("broken", ["", "new"])
def test_whenever_power_is_lost_one_of_both_is_there_and_the_next_step_knows_which(host: Host, broken: str) -> None:
    """By turns the directory itself may be away until the next step; in one act it never is."""
    seen = set()

    def settled() -> None:
        assert host.data.exists() or not host.in_one_act
        host.here.settle()
        assert host.is_settled()
        seen.add((host.serves(), *host.beside()))
        if host.serves() == "new":
            assert host.beside() == {"before": "old"}, "the way back knows it"
            host.data.rename(host.here.incoming)
            Path(host.here.before).rename(host.data)
        assert (host.serves(), host.beside()) == ("old", {"restored": "new"})

    def switch() -> None:
        try:
            host.here.switch()
        except Trouble:
            assert broken

    host.broken = broken
    assert every_loss(host, switch, settled) >= 6
    assert seen == {("old", "restored"), ("new", "before")}
    assert (host.serves(), host.is_settled()) == ("old" if broken else "new", True)


def test_a_way_back_that_is_cut_off_is_finished_by_the_same_command_and_goes_no_further(host: Host) -> None:
    october = Path(f"{host.data}.before-20261028T000000Z-012345")
    for number in range(99):
        (october / "PG_VERSION").parent.mkdir()
        (october / "PG_VERSION").write_text("october's")
        host.acts, host.lost_at = 0, -1
        host.here.switch()
        host.acts, host.lost_at = 0, number
        try:
            host.here.back()
            came = True
        except PowerLost:
            came, host.lost_at = False, -1
            assert host.data.exists() or not host.in_one_act
            host.here.back()
        assert (host.serves(), host.running, host.is_settled()) == ("old", True, True), number
        assert (october / "PG_VERSION").read_text() == "october's"
        undone = Path(f"{host.data}.undone-{RUN}")
        assert (undone / "PG_VERSION").read_text() == "new"
        if came:
            break
        undone.rename(host.here.incoming)
        shutil.rmtree(october)
    assert number > 6


@pytest.mark.parametrize("refuses", ["rename", "stop", "exchange"])
def test_where_the_two_cannot_be_exchanged_what_served_serves_again(host: Host, refuses: str) -> None:
    host.refuses = refuses if host.in_one_act or refuses != "exchange" else "rename"
    with pytest.raises(Trouble, match=r"the two could not be exchanged, what served before serves again"):
        host.here.switch()
    assert (host.serves(), host.beside(), host.running, host.is_settled()) == ("old", {"restored": "new"}, True, True)


@pytest.mark.parametrize("left", place.OF_A_RECOVERY)
def test_what_was_not_stopped_in_order_is_refused_before_anything_is_touched(host: Host, left: str) -> None:
    (Path(host.here.incoming) / left).touch()
    with pytest.raises(Trouble, match=f"{left} should have gone; nothing was touched"):
        host.here.switch()
    assert (host.acts, host.serves(), host.beside()) == (0, "old", {"restored": "new"})


def test_a_restored_server_that_did_not_stop_in_order_never_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pg_ctl stop` says nothing of it: what the cluster's own control file says counts."""
    states = iter(["in production", "shut down"])

    def run(words: list[str]) -> str:
        return f"Database cluster state:               {next(states)}\n" if "controldata" in words[0] else ""

    monkeypatch.setattr(archive, "run", run)
    restored = scratch.Scratch(str(tmp_path), "/usr/lib/postgresql/15/bin")
    with pytest.raises(Trouble, match=r"did not stop as it should \(in production\)"):
        restored.rest()
    restored.rest()


def test_a_directory_that_something_is_mounted_at_is_refused_before_anything_is_touched(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.is_mounted("/proc")
    monkeypatch.setattr(place, "is_mounted", lambda path: path == str(host.data))
    with pytest.raises(Trouble, match="is a disk of its own"):
        host.here.open("ssh-ed25519 A", 1000, 0)
    assert (host.acts, host.beside()) == (0, {"restored": "new"})


def test_where_the_disk_was_lost_what_came_is_in_its_place_whenever_power_is_lost(host: Host) -> None:
    shutil.rmtree(host.data)
    seen = set()

    def settled() -> None:
        host.here.settle()
        assert host.is_settled()
        seen.add(host.data.exists())
        if host.data.exists():
            host.data.rename(host.here.incoming)
        assert host.beside() == {"restored": "new"}

    every_loss(host, lambda: host.here.switch(), settled)
    assert seen == {False, True}
    assert (host.serves(), host.beside(), host.is_settled()) == ("new", {}, True)
