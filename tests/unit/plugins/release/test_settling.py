"""The two ends of a run, on directories of the test's own and with a systemctl that writes down what it is told."""

import io
import json
import random
import re
import struct
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, cast

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.data import copying, database
from ansible_collections.ferryman.ops.plugins.module_utils.data.database import Trouble
from ansible_collections.ferryman.ops.plugins.module_utils.release import (
    agent,
    arbiter,
    baseline,
    draining,
    guard,
    look,
    names,
    probe,
    render,
    restoring,
    settling,
    shift,
    slots,
    steps,
    verifying,
)
from ansible_collections.ferryman.ops.plugins.module_utils.release import database as migrating
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host, deciding, now

OLD, NEW = "20260101T000000Z-aaaaaaa", "20260102T000000Z-bbbbbbb"
NEWEST = "20260201T000000Z-ddddddd"
PROCESSES = {"web": {"kind": "web", "command": "x", "instances": 1}, "worker": {"kind": "worker", "command": "x"}}


class Here(names.Site):
    """A site below a directory of the test's own; the class remembers where."""

    place = Path()

    @property
    def root(self) -> Path:
        return self.place / "srv"

    @property
    def settings(self) -> Path:
        return self.place / "etc"

    @property
    def dumps(self) -> Path:
        return self.place / "dumps"


class Systemd(Host):
    """A host whose commands are written down instead of run; `restarts` and `running` are what systemd would say."""

    told: list[tuple[str, ...]]
    restarts: dict[str, int]
    up: set[str]

    def command(
        self,
        *words: str,
        timeout: float = 60,
        env: dict[str, str] | None = None,
        cut_short: bool = False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> str:
        del timeout, env, cut_short
        self.told.append(words)
        meanwhile()
        if "NRestarts" in words:
            return str(self.restarts.get(words[-1], 0))
        if "list-units" in words:
            return "\n".join(f"{unit} loaded active running" for unit in sorted(self.up))
        if words[:2] == ("systemctl", "start"):
            self.up |= {word for word in words[2:] if not word.startswith("-")}
        if words[:2] == ("systemctl", "stop"):
            self.up -= set(words[2:])
        return ""

    def did(self, *part: str) -> bool:
        """Say whether a command held all these words."""
        return any(all(any(word in told for told in words) for word in part) for words in self.told)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A host on which OLD serves from blue, and NEW has been started in green."""
    for module, name, place in (
        (names, "SITES", "state"), (names, "PENDING", "pending"), (names, "UNITS", "units"), (slots, "UNITS", "units"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, tmp_path / place)

    monkeypatch.setattr(Here, "place", tmp_path)
    host = Systemd(Here("shop"), run="run-2", token=2)
    host.told, host.restarts, host.up = [], {}, set()
    for slot, release in (("blue", OLD), ("green", NEW)):
        described = {"processes": PROCESSES, "secrets": [], "secret_env": []}
        record = {"id": release, "run": f"run-{slot}", "processes": PROCESSES, "manifest": {"description": described}}
        host.write_json(host.site.release(release) / "release.json", record)
        host.link(host.site.slot(slot), f"../releases/{release}")
        for process in PROCESSES:
            unit = host.site.unit(process, slot)
            host.write(tmp_path / "units" / unit, "")
            host.up.add(unit)
    ports = {"web": {"blue": [20000], "green": [20010]}}
    host.write_json(host.site.settings / "ports.json", {"format": 1, "ports": ports})
    shift.set_share(host, 0)
    stable = {**shift.state(host), "release_stable": OLD}
    host.write_json(host.site.state / "shift.json", stable)
    arbiter.record(host, event="deploy", release=NEW, status="started")
    return host


def move(host: Systemd, *, confirm_s: float = 60) -> None:
    """Send everybody to NEW in green, to be confirmed."""
    shift.begin(host, slot="green", release=NEW, confirm_s=confirm_s)
    shift.set_share(host, 100)


def test_a_way_back_does_not_fail_because_a_worker_had_a_crash_weeks_ago(host: Systemd) -> None:
    host.restarts = {"shop-worker@blue-1.service": 3}
    move(host)
    assert settling.go_back(host, release=NEW, reason="ill", drain_s=30).moved
    assert shift.share(host) == 0


def test_a_worker_that_crashes_while_it_is_watched_is_seen(host: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: host.restarts.update({"shop-worker@green-1.service": 1}))
    with pytest.raises(Failed, match="did not stay up"):
        slots.move_workers(host, "green", alive_s=2)


def test_a_slot_that_clients_were_sent_to_is_drained_and_not_stopped(host: Systemd) -> None:
    move(host)
    settling.go_back(host, release=NEW, reason="ill", drain_s=30)
    assert host.did("systemd-run", "--on-active=30s")
    assert not host.did("systemctl", "stop", "shop-web@green-1.service")


def with_baseline(host: Systemd) -> None:
    """Have a baseline of OLD, with the clients of ten buckets."""
    host.link(host.site.slot(names.BASELINE), f"../releases/{OLD}")
    shift.set_share(host, 10, baseline=range(90, 100))


def test_whoever_sets_a_share_ends_a_baseline_with_it(host: Systemd) -> None:
    with_baseline(host)
    assert shift.share(host) == 10
    there = sorted(path.name for path in (host.site.state / "share").iterdir())
    assert there == [*(f"{each:02d}" for each in range(10)), *(f"baseline-{each}" for each in range(90, 100))]
    shift.set_share(host, 10)
    assert sorted(path.name for path in (host.site.state / "share").iterdir()) == there[:10]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("entry", [False, True])
def test_a_baseline_is_stopped_once_a_run_has_ended_and_not_while_it_may_have_clients(
    host: Systemd, live: bool, entry: bool
) -> None:
    shift.begin(host, slot="green", release=NEW, confirm_s=60)
    with_baseline(host)
    if not entry:  # whose clients come from elsewhere
        (host.site.state / "share").unlink()
    host.up.add("shop-web@baseline-1.service")
    host.write(names.UNITS / "shop-web@baseline-1.service", "")
    settling.cool(host, names.BASELINE, OLD, drain_s=0)
    assert "shop-web@baseline-1.service" in host.up
    if live:
        arbiter.record(host, event="deploy", release=NEW, status="live")
    assert guard.resolve(host, reason="its driver is gone") == ("confirmed" if live else "returned")
    assert host.did("systemd-run", "cool", names.BASELINE)
    settling.cool(host, names.BASELINE, OLD, drain_s=0)
    assert "shop-web@baseline-1.service" not in host.up
    assert not slots.holds(host, names.BASELINE)


def test_a_host_without_what_is_live_is_refused_a_baseline_and_nothing_is_started(host: Systemd) -> None:
    shift.keep(host, {**shift.state(host), "release_stable": NEWEST})
    with pytest.raises(Failed, match=f"{NEWEST} is live, and not on this host") as failed:
        baseline.start(host)
    assert failed.value.refused
    assert "release_baseline: false" in failed.value.hint
    assert not slots.holds(host, names.BASELINE)


def test_a_boot_leaves_no_baseline(host: Systemd) -> None:
    with_baseline(host)
    guard._settle_at_boot(host)
    assert not slots.holds(host, names.BASELINE)
    assert (host.site.state / "share").readlink().name == "0"


def test_a_second_way_back_leaves_a_draining_slot_alone(host: Systemd) -> None:
    move(host)
    settling.go_back(host, release=NEW, reason="the guard was faster", drain_s=30)
    host.told.clear()
    settling.go_back(host, release=NEW, reason="the driver comes later", drain_s=30)
    assert not host.did("systemctl", "stop", "shop-web@green-1.service")


def test_a_failure_before_the_switch_stops_what_the_run_started(host: Systemd) -> None:
    assert not settling.go_back(host, release=NEW, reason="ill", drain_s=30).moved
    assert host.did("systemctl", "stop", "shop-web@green-1.service")


def test_a_host_that_was_left_out_runs_nothing_of_what_it_has_until_it_has_what_is_live(host: Systemd) -> None:
    """It is brought to where the arbiter is, which has NEWEST for stable in green; the run that does so goes back."""
    slots.enable(host, "blue")
    told = {"slot": "green", "release": NEWEST, "end": "returned", "left_out": True}
    steps.STEPS["mend"](host, {"roles": ["app"], "arbiter": told}, io.BytesIO())
    assert host.up == set()
    assert [*(names.UNITS / "multi-user.target.wants").glob("*")] == [], "nor does it after a boot"
    shift.begin(host, slot="blue", release=NEWEST, confirm_s=60)
    host.write(host.site.pending, "")
    settling.go_back(host, release=NEWEST, reason="ill elsewhere", drain_s=0)
    assert host.up == {"ferryman-guard.service"}
    assert (shift.state(host)["stable"], shift.state(host)["release_stable"]) == ("green", NEWEST)


def test_where_workers_wait_for_the_arbiter_a_boot_starts_web_processes_alone(host: Systemd) -> None:
    slots.enable(host, "blue")
    slots.enable(host, "blue", background=False)
    assert [path.name for path in (names.UNITS / "multi-user.target.wants").glob("*")] == ["shop-web@blue-1.service"]


@pytest.mark.parametrize("first", ["", "patch"])
def test_the_page_of_a_patch_comes_and_goes_and_leaves_a_persons_alone(host: Systemd, first: str) -> None:
    def page(of: str, *, on: bool) -> bool:
        told = steps.STEPS["maintenance"](host, {"roles": ["entry"], "maintenance": on, "page_of": of}, io.BytesIO())
        return bool(told["maintenance"])

    assert page(first, on=True)
    assert page("patch", on=True)
    assert page("patch", on=False) == (first == "")
    page("patch", on=True)
    assert page("", on=True), "somebody wants it, too"
    assert page("patch", on=False)
    assert not page("", on=False)


def test_a_failure_before_the_start_leaves_a_warm_release_of_another_run_alone(host: Systemd) -> None:
    settling.go_back(host, release="20260103T000000Z-ccccccc", reason="the build failed", drain_s=30)
    assert not host.did("systemctl", "stop", "shop-web@green-1.service")


def test_a_slot_is_not_cooled_while_it_serves_drains_or_holds_another_release(host: Systemd) -> None:
    settling.cool(host, "blue", OLD, drain_s=30)  # stable
    settling.cool(host, "green", OLD, drain_s=30)  # holds NEW
    move(host)
    shift.confirm(host, slot="green", release=NEW)
    host.told.clear()
    settling.cool(host, "blue", OLD, drain_s=30)  # left a moment ago
    assert not host.did("systemctl", "stop")
    assert host.did("systemd-run"), "and is looked at again when it has drained"
    settling.cool(host, "blue", OLD, drain_s=0)
    assert host.did("systemctl", "stop", "shop-web@blue-1.service")


def test_the_guard_confirms_what_is_committed_and_starts_what_a_boot_did_not(host: Systemd) -> None:
    move(host)
    arbiter.record(host, event="deploy", release=NEW, status="live")
    host.up.clear()
    assert guard.resolve(host, reason="boot") == "confirmed"
    assert (shift.state(host)["stable"], shift.share(host)) == ("green", 100)
    assert "shop-web@green-1.service" in host.up
    assert (host.site.root / "current").readlink() == Path("releases") / NEW


def test_the_guard_goes_back_and_says_so_where_nothing_is_committed(host: Systemd) -> None:
    host.journal("migrate", "done", release=NEW, schema_before="1", schema_after="2")
    move(host)
    assert guard.resolve(host, reason="its driver is gone") == "returned"
    last = arbiter.lines(host)[-1]
    assert (last["status"], last["who"], last["schema_after"]) == ("returned", "guard", "2")
    assert shift.share(host) == 0


def test_one_site_in_trouble_keeps_no_other_from_being_looked_after(capsys: pytest.CaptureFixture[str]) -> None:
    def trouble(_: Host) -> None:
        raise ValueError("damaged")

    guard._apart("shop", trouble)
    assert "shop: ValueError: damaged" in capsys.readouterr().out


@pytest.mark.parametrize(("deadline", "boot", "is_due"), [(10, "a", True), (11, "a", False), (11, "b", True)])
def test_a_shift_is_due_at_its_deadline_and_after_a_boot(deadline: float, boot: str, is_due: bool) -> None:
    assert guard.due({"deadline": deadline, "boot": boot}, boot="a", boottime=10) is is_due


def test_nothing_is_settled_that_was_not_committed(host: Systemd) -> None:
    move(host)
    request: dict[str, Any] = {"roles": ["arbiter", "entry", "app"], "slot": "green", "release": NEW}
    request["settings"] = {"warm_s": 1, "drain_s": 1, "keep": 3}
    with pytest.raises(Failed, match="nothing was committed"):
        steps.STEPS["settle"](host, request, io.BytesIO())
    assert shift.state(host)["stable"] == "blue"


def test_nothing_is_committed_that_somebody_has_said_to_go_back_from(host: Systemd) -> None:
    move(host)
    request: dict[str, Any] = {"roles": ["arbiter", "entry", "app"], "slot": "green", "release": NEW}
    request |= {"line": {"event": "deploy", "release": NEW}, "settings": {"confirm_s": 60}}
    for run, word in ((host.run_id, "promote"), ("run-1", "abort")):
        host.write_json(host.site.state / "operator.json", {"run": run, "word": word, "who": "eve", "at": 1})
        steps.STEPS["hold"](host, request, io.BytesIO())
    host.write_json(host.site.state / "operator.json", {"run": host.run_id, "word": "abort", "who": "eve", "at": 1})
    for step in ("hold", "commit"):
        with pytest.raises(Failed, match="eve said to go back"):
            steps.STEPS[step](host, request, io.BytesIO())
    assert not arbiter.committed(host, host.run_id)


@pytest.mark.parametrize("foreseen", [True, False])
def test_nothing_that_is_shown_of_a_failure_has_a_secret_of_the_application(
    host: Systemd, monkeypatch: pytest.MonkeyPatch, foreseen: bool
) -> None:
    def fail(*_: object) -> None:
        if not foreseen:
            raise ValueError("no address in kept-there, sent-along, asked&for")
        raise Failed("it asked for kept-there", evidence=['{"told": "sent-along"}', "login as asked&for"])

    host.write(host.site.settings / "secrets" / "DSN", "kept-there", secret=True)
    monkeypatch.setattr(agent, "Site", lambda _: host.site)
    monkeypatch.setattr(look, "marker", lambda *_, **__: None)
    monkeypatch.setattr(agent, "_work", fail)
    request: dict[str, Any] = {"site": "shop", "environment": "dev", "secrets": {"KEY": "sent-along"}}
    request["verify"] = {"secrets": {"PW": "asked&for"}}
    sent = json.dumps(request).encode()
    answer = agent.serve(io.BytesIO(struct.pack("!Q", len(sent)) + sent))
    if foreseen:
        assert (answer["reason"], answer["evidence"]) == ("it asked for ***", ['{"told": "***"}', "login as ***"])
    else:
        assert answer["reason"] == "ValueError: no address in ***, ***, ***"
        assert not any(word in str(answer) for word in ("kept-there", "sent-along", "asked&for"))


def test_settling_twice_is_settling_once(host: Systemd) -> None:
    move(host)
    arbiter.record(host, event="deploy", release=NEW, status="live")
    for _ in range(2):
        settling.settle(host, slot="green", release=NEW, after_s=300, drain_s=0)
    assert shift.state(host)["stable"] == "green"
    assert not host.site.pending.exists()


def test_secrets_and_dumps_stay_as_long_as_a_release_that_stays_needs_them(host: Systemd) -> None:
    record = host.site.release(OLD) / "release.json"
    told = json.loads(record.read_text())
    told["manifest"]["description"]["secrets"] = ["KEY"]
    record.write_text(json.dumps(told))
    for name in ("KEY", "GONE"):
        host.write(host.site.settings / "secrets" / name, "x", secret=True)
    for run in ("run-blue", "run-w", "run-x", "run-y"):
        host.write(host.site.dumps / f"{run}.dump", "x")
    arbiter.record(host, event="deploy", release=OLD, status="live")
    settling.prune(host, {"roles": ["arbiter"], "release": NEW, "slot": "green", "settings": {"keep": 1}})
    assert [path.name for path in (host.site.settings / "secrets").iterdir()] == ["KEY"]
    assert sorted(path.stem for path in host.site.dumps.iterdir()) == ["run-blue", "run-y"]


@pytest.mark.parametrize("seed", range(12))
def test_what_check_mode_says_would_be_removed_is_what_is_removed_then(host: Systemd, seed: int) -> None:
    chance = random.Random(seed)
    place, keep = host.site, chance.randint(1, 3)
    described: dict[str, Any] = {"processes": PROCESSES, "secret_env": []}
    for day in range(3, chance.randint(5, 9)):
        release, run = f"2026010{day}T000000Z-ccccccc", f"run-1{day}"
        record: dict[str, Any] = {"id": release, "run": run, "environment_key": str(chance.randint(1, 3))}
        record["manifest"] = {"description": {**described, "secrets": chance.sample(["KEY", "TOKEN", "SALT"], 1)}}
        host.write_json(place.release(release) / "release.json", record)
        host.write(place.dumps / f"{run}.dump", "x")
        arbiter.record(host, event="deploy", release=release, status=chance.choice(["live", "returned", "live"]))
        host.link(place.slot("green" if day % 2 else "blue"), f"../releases/{release}")
    for key in "123":
        host.directory(place.root / "environments" / key)
    for name in ("KEY", "TOKEN", "SALT"):
        host.write(place.settings / "secrets" / name, "x", secret=True)
    new: dict[str, Any] = {"id": NEWEST, "run": host.run_id, "environment_key": "1"}
    new["manifest"] = {"description": {**described, "secrets": ["KEY"]}}
    slot, dumped = chance.choice(names.SLOTS), chance.random() < 0.5
    request = {"roles": ["arbiter", "app"], "release": NEWEST, "slot": slot, "settings": {"keep": keep}}
    host.changes, host.check = [], True
    coming = {**request, "record": new, "dumped": dumped, "line": {"event": "deploy", "release": NEWEST}}
    announced = settling.prune(host, coming), sorted(host.changes)
    host.check = False
    host.write_json(place.release(NEWEST) / "release.json", new)
    if dumped:
        host.write(place.dumps / f"{host.run_id}.dump", "x")
    host.link(place.slot(slot), f"../releases/{NEWEST}")
    arbiter.record(host, event="deploy", release=NEWEST, status="live")
    host.changes = []
    assert (settling.prune(host, request), sorted(host.changes)) == announced


def test_workers_that_stop_slowly_get_the_time_before_the_guard_comes(host: Systemd) -> None:
    move(host, confirm_s=5)
    before = shift.state(host)["deadline"]
    settling.extend(host, by_s=90)
    assert shift.state(host)["deadline"] >= before + 80
    assert now().boottime < shift.state(host)["deadline"]


def test_the_journal_tells_when_workers_begin_to_be_moved_and_when_they_are(host: Systemd) -> None:
    move(host, confirm_s=5)
    settings = {"worker_soak_s": 0, "confirm_s": 60}
    steps._workers(
        host, {"roles": ["app"], "release": NEW, "slot": "green", "settings": settings}, cast("Any", io.BytesIO())
    )
    told = arbiter.journal_of(host, host.run_id)[-2:]
    assert [(line["step"], line["result"], line["release"]) for line in told] == [
        ("workers", "started", NEW),
        ("workers", "done", NEW),
    ]
    assert shift.state(host)["deadline"] >= now().boottime + 80, "it stops for 30 s, and 60 s are to confirm"


def test_two_bad_answers_in_a_row_count_whatever_they_say(host: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["answered 500 request 1", "answered 500 request 2"])
    monkeypatch.setattr(probe, "answer", lambda *_: (False, next(said)))
    with pytest.raises(Failed, match="request 2"):
        probe.require_well(host, "green")


# A rollback that takes the database along


NAME, FRESH, ASIDE, ELDER = "shop", "shop_ferryman_point", "shop_ferryman_left", "shop_ferryman_left_older"
EARLIER, SERVING, POINT = 1, 2, 3  # oids


class Server:
    """A server that understands what copying.Exchange says to it: oids by name, who is let in; `down`: no answer."""

    def __init__(self, **names: int) -> None:
        self.names, self.down = dict(names), False
        self.limits = dict.fromkeys(names.values(), -1)
        self.admits = dict.fromkeys(names.values(), True)

    def ask(self, query: str) -> Any:
        if self.down:
            raise Trouble("no server")
        asked = re.findall(r"'([a-z_]+)'", query)
        if "json_object_agg" in query:
            return {name: oid for name, oid in self.names.items() if name in asked}
        return self.limits[self.names[asked[-1]]] if "datconnlimit" in query else []

    def alone(self, statement: str) -> None:
        if self.down:
            raise Trouble("no server")
        words = statement.replace('"', "").replace(" if exists", "").split()
        oid = self.names.get(words[2], 0)
        if words[0] == "drop":
            self.names.pop(words[2], None)
        elif "limit" in words:
            self.limits[oid] = int(words[-1])
        elif "allow_connections" in words:
            self.admits[oid] = words[-1] == "true"

    def run(self, script: str) -> None:
        fresh = dict(self.names)
        for old, new in re.findall(r'alter database "(\w+)" rename to "(\w+)";', script):
            if new in fresh or old not in fresh:
                raise Trouble(f"{old} cannot be {new}")
            fresh[new] = fresh.pop(old)
        self.names = fresh


class Killed(BaseException):
    """No process comes to its end."""


def killed(
    work: Callable[[], Any], after: int, inside: Collection[ModuleType] = (restoring, copying, settling, guard, shift)
) -> bool:
    """Do something, and end at a line of modules, as who is killed does; say whether it came so far."""
    files, lines = {each.__file__ for each in inside}, 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        lines += event == "line"
        if lines > after:
            raise Killed
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Killed:
        return True
    finally:
        sys.settrace(before)
    return False


def on(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    """Let the databases of the host be those of `server`, and its processes be well."""

    def exchange(name: str, port: int) -> copying.Exchange:
        made = copying.Exchange(name, port, fresh="point", aside="left", older="left_older")
        made.server = cast("database.Database", server)
        return made

    monkeypatch.setattr(restoring, "_exchange", exchange)
    monkeypatch.setattr(probe, "check", lambda *_, **__: [])


@pytest.fixture
def server(host: Systemd, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The databases were exchanged behind the maintenance page, and clients are about to be sent to NEW."""
    found = Server(**{NAME: POINT, ASIDE: SERVING})
    on(monkeypatch, found)
    told = {"phase": "exchange", "run": host.run_id, "database": "shop", "port": 5432, "limit": -1, "page": False}
    host.write_json(
        host.site.state / "exchange.json", {"format": 1, **told, "timeout_s": 1, "serving": SERVING, "point": POINT}
    )
    host.write(host.site.state / "maintenance", "")
    move(host)
    return found


def test_the_guard_puts_the_database_back_with_the_release_and_takes_the_page_away(
    host: Systemd, server: Server
) -> None:
    assert guard.resolve(host, reason="its driver is gone") == "returned"
    assert (server.names, server.limits[SERVING]) == ({NAME: SERVING}, -1)
    assert host.did("systemctl", "stop", "shop-web@blue-1.service"), (
        "it was connected to the other database, after a boot"
    )
    assert "shop-web@blue-1.service" in host.up
    assert "the database that served before is in its place again" in arbiter.lines(host)[-1]["reason"]
    assert not (host.site.state / "maintenance").exists()
    assert not (host.site.state / "exchange.json").exists()
    assert not host.site.pending.exists()


def test_what_is_committed_keeps_its_database_whoever_comes_to_finish_it(host: Systemd, server: Server) -> None:
    arbiter.record(host, event="rollback", release=NEW, status="live")
    assert guard.resolve(host, reason="boot") == "confirmed"
    assert server.names == {NAME: POINT, ASIDE: SERVING}
    assert not (host.site.state / "maintenance").exists()
    assert not (host.site.state / "exchange.json").exists()


def test_a_page_that_was_shown_before_stays(host: Systemd, server: Server) -> None:
    told = json.loads((host.site.state / "exchange.json").read_text())
    host.write_json(host.site.state / "exchange.json", {**told, "page": True})
    guard.resolve(host, reason="its driver is gone")
    assert server.names == {NAME: SERVING}
    assert (host.site.state / "maintenance").exists()


def test_as_long_as_the_server_is_down_the_guard_comes_back_to_it(host: Systemd, server: Server) -> None:
    server.down = True
    for _ in range(2):
        with pytest.raises(Failed, match="no server"):
            guard.resolve(host, reason="its driver is gone")
    assert host.site.pending.exists()
    assert (host.site.state / "maintenance").exists()
    server.down = False
    assert guard.resolve(host, reason="its driver is gone") == "returned"
    assert server.names == {NAME: SERVING}


def test_a_boot_leaves_an_exchange_to_who_comes_after_the_database_server(host: Systemd, server: Server) -> None:
    guard._settle_at_boot(host)
    assert server.names == {NAME: POINT, ASIDE: SERVING}
    assert host.site.pending.exists()


def test_nothing_is_committed_whose_database_was_put_back_meanwhile(host: Systemd, server: Server) -> None:
    request = {
        "roles": ["arbiter", "entry"],
        "point": {"path": "p"},
        "release": NEW,
        "line": {"event": "rollback", "release": NEW},
    }
    guard.resolve(host, reason="its driver slept")
    assert server.names == {NAME: SERVING}
    host.run_id = "run-2"
    with pytest.raises(Failed, match="put back the database"):
        steps._commit(host, request, io.BytesIO())
    assert not arbiter.committed(host, "run-2")


class Night:
    """A rollback with the database, as often as wanted, on one host; the one before has left its database aside."""

    def __init__(self, host: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.monkeypatch = host, monkeypatch
        self.stable = shift.state(host)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        monkeypatch.setattr(draining, "nothing_under_way", lambda *_, **__: True)

    def begin(self) -> None:
        """Restore beside what serves."""
        self.host.remove(self.host.site.arbiter)
        for name in ("exchange.json", "maintenance", "journal.jsonl"):
            self.host.remove(self.host.site.state / name)
        self.host.remove(self.host.site.pending)
        self.host.run_id, self.host.decides = "run-2", False
        self.host.write_json(self.host.site.state / "shift.json", self.stable)
        self.server = Server(**{NAME: SERVING, FRESH: POINT, ASIDE: EARLIER})
        on(self.monkeypatch, self.server)
        told = {"phase": "restore", "run": self.host.run_id, "database": "shop", "port": 5432}
        self.host.write_json(self.host.site.state / "exchange.json", {"format": 1, **told})

    def exchange(self) -> None:
        """Stop everything, and let the two have each other's names."""
        self.do("quiet")
        self.do("exchange")

    def do(self, step: str) -> dict[str, Any]:
        """Do a step of the rollback's own."""
        settings = {"start_timeout_s": 1, "confirm_s": 60, "drain_s": 30}
        request = {"slot": "green", "release": NEW, "entry": {}, "settings": settings}
        return restoring.STEPS[step](self.host, {**request, "line": {"event": "rollback", "release": NEW}})

    def undo(self) -> None:
        """Do what the guard does, or the next command where no guard is asked for yet."""
        with deciding(self.host):
            guard._resolve(self.host, reason="its driver is gone") if self.host.site.pending.exists() else None
            settling.end_exchange(self.host)

    def commit(self) -> None:
        """Send everybody to what was restored, for good."""
        shift.set_share(self.host, 100)
        arbiter.record(self.host, event="rollback", release=NEW, status="live")

    def settle(self) -> None:
        """Do what the driver does after the commit."""
        settings = {"warm_s": 1, "drain_s": 1, "keep": 3, "worker_soak_s": 0}
        request = {"roles": ["arbiter", "entry", "app"], "point": {"path": "p"}, "slot": "green", "release": NEW}
        steps._settle(self.host, {**request, "settings": settings, "entry": {}, "description": {}}, io.BytesIO())

    def require_done(self, told: str) -> None:
        """See that what was committed is whole, and that nobody looks after it any more."""
        assert self.server.names == {NAME: POINT, ASIDE: SERVING}, told
        assert shift.state(self.host)["stable"] == "green", told
        for path in ("exchange.json", "maintenance"):
            assert not (self.host.site.state / path).exists(), told
        assert not self.host.site.pending.exists(), told
        assert "shop-worker@green-1.service" in self.host.up, told

    def require_morning(self, told: str) -> None:
        """See that everything is as it was before."""
        assert self.server.names == {NAME: SERVING, ASIDE: EARLIER}, told
        assert self.server.admits[SERVING], told
        assert self.server.limits[SERVING] == -1, told
        for path in ("exchange.json", "maintenance"):
            assert not (self.host.site.state / path).exists(), told
        assert not self.host.site.pending.exists(), told
        assert {"shop-web@blue-1.service", "shop-worker@blue-1.service"} <= set(self.host.up), told


@pytest.fixture
def night(host: Systemd, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(host, monkeypatch)


def test_whoever_is_killed_on_the_way_back_leaves_it_to_the_next_who_finds_what_served_before(night: Night) -> None:
    """With what an earlier rollback has left aside, which may never take the place of what serves."""
    line, goes_on = 0, True
    while goes_on:
        night.begin()
        night.exchange()
        assert night.server.names == {NAME: POINT, ASIDE: SERVING, ELDER: EARLIER}
        goes_on = killed(night.undo, line)
        night.host.decides = False
        assert SERVING in night.server.names.values(), f"line {line}"
        night.undo()
        night.require_morning(f"killed after {line} lines")
        line += 1
    assert line > 40, "too few lines were seen for this to say anything"


def test_a_run_that_is_killed_at_any_line_and_its_way_back_too_lose_nothing(night: Night) -> None:
    line, goes_on, chance = 0, True, random.Random(18)
    while goes_on:
        for again in (chance.randrange(80), chance.randrange(80)):
            night.begin()
            goes_on = killed(night.exchange, line)
            night.host.decides = False
            phase = json.loads(night.host.site.exchange.read_text())["phase"]
            assert phase == "restore" or night.host.site.pending.exists(), f"line {line}: the guard knows nothing"
            killed(night.undo, again)
            night.host.decides = False
            night.undo()
            night.require_morning(f"killed after {line} lines, and again after {again}")
        line += 1
    assert line > 40, "too few lines were seen for this to say anything"


@pytest.mark.parametrize("who", ["driver", "guard"])
def test_whoever_is_killed_after_the_commit_leaves_page_and_workers_to_the_guard(
    night: Night, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(shift, "verify", lambda *_, **__: None)
    monkeypatch.setattr(verifying, "through_entry", lambda *_: {})
    line, goes_on = 0, True
    while goes_on:
        night.begin()
        night.exchange()
        night.commit()
        ends = night.settle if who == "driver" else lambda: guard.resolve(night.host, reason="its driver is gone")
        goes_on = killed(ends, line)
        night.host.decides = False
        shown, pending = (night.host.site.state / "maintenance").exists(), night.host.site.pending.exists()
        assert pending or not shown, f"line {line}: nobody looks after the page"
        if pending:
            guard.resolve(night.host, reason="its driver is gone")
        night.require_done(f"killed after {line} lines")
        line += 1
    assert line > 40, "too few lines were seen for this to say anything"


def test_nothing_is_exchanged_while_an_upload_from_before_the_page_may_still_come(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the processes that it could be given to none runs meanwhile."""
    seen: list[tuple[Any, bool]] = []

    def nothing(*_: Any, **__: Any) -> bool:
        seen.append((night.server.names[NAME], any("web@" in unit for unit in night.host.up)))
        return len(seen) > 2

    monkeypatch.setattr(draining, "nothing_under_way", nothing)
    night.begin()
    night.do("quiet")
    assert night.do("exchange") == {"kept": ASIDE}
    assert seen == [(SERVING, False)] * 3
    assert night.server.names[NAME] == POINT


def test_an_upload_that_takes_longer_than_any_may_is_told(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "ended", lambda *_, **__: False)
    night.begin()
    night.do("quiet")
    assert night.do("exchange") == {"kept": ASIDE, "under_way_s": 30}
    assert "under_way_s" in (night.host.site.state / "journal.jsonl").read_text()


def between(work: Callable[[], Any], line: int, do: Callable[[], None], host: Host) -> bool:
    """Do `work`, and in its middle, before a line of what decides, something else, as soon as nobody decides there.

    Return whether there is such a line.
    """
    lines, done = 0, False

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines, done
        if frame.f_code.co_filename not in {each.__file__ for each in (steps, settling, migrating)}:
            return None
        lines += event == "line"
        if lines > line and not done and not host.decides:
            done = True
            sys.settrace(None)
            do()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines > line


def test_a_release_is_not_started_on_a_database_that_was_put_back_meanwhile(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever slept at any line: what runs of it is stopped by who undoes, or is not started any more."""
    web, refused = "shop-web@green-1.service", list[str]()
    monkeypatch.setattr(slots, "start", lambda host, *_, **__: host.up.add(web))
    monkeypatch.setattr(probe, "pass_gate", lambda *_, **__: {})
    monkeypatch.setattr(settling, "cool_later", lambda *_, **__: None)
    monkeypatch.setattr(verifying, "at_slot", lambda *_: {})
    settings = dict.fromkeys(("drain_s", "confirm_s", "health_consecutive", "soak_s", "start_timeout_s"), 1)
    request = {"roles": ["app"], "point": {"path": "p"}, "slot": "green", "release": NEW, "settings": settings}
    line, goes_on = 0, True
    while goes_on:
        night.begin()
        night.exchange()

        def start() -> None:
            try:
                steps._start(night.host, {**request, "entry": {}}, io.BytesIO())
            except Failed as failed:
                refused.append(str(failed))

        goes_on = between(start, line, night.undo, night.host)
        night.undo()
        assert web not in night.host.up, f"undone before line {line}"
        assert night.server.names[NAME] == SERVING
        line += 1
    assert 0 < len(refused) < line > 10
    assert all("put back the database" in said for said in refused)


def test_a_job_that_is_begun_while_a_rollback_comes_is_stopped_by_it_or_refused(
    night: Night, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refused: list[str] = []
    unit, record = "shop-seed.service", night.host.site.release(OLD) / "release.json"
    told = json.loads(record.read_text())
    told["processes"] = {**PROCESSES, "seed": {"kind": "once", "command": "x"}}
    record.write_text(json.dumps(told))
    monkeypatch.setattr(migrating, "RUNTIME_UNITS", tmp_path / "run")
    monkeypatch.setattr(render, "transient", lambda *_, **__: "[Service]\n")
    monkeypatch.setattr(migrating, "_runs", lambda host, name: name in host.up)
    output = night.host.site.state / "once" / "run-2-seed.out"
    night.host.write(output, "")
    line, goes_on = 0, True
    while goes_on:
        night.begin()
        night.host.up.discard(unit)

        def run() -> None:
            try:
                steps._once(night.host, {"process": "seed"}, io.BytesIO())
            except Failed as failed:
                refused.append(str(failed))

        goes_on = between(run, line, night.exchange, night.host)
        assert (unit in night.host.up) is not goes_on, f"exchanged before line {line}"
        night.undo()
        line += 1
    assert 0 < len(refused) < line > 10
    assert all("takes the database along" in said for said in refused)


def test_nobody_decides_by_an_exchange_without_holding_the_decision(night: Night) -> None:
    night.begin()
    with pytest.raises(RuntimeError, match="holds the host's decision"):
        settling.require_rest(night.host)


def test_workers_of_what_was_restored_wait_for_the_commit(night: Night) -> None:
    night.begin()
    night.exchange()
    request = {"roles": ["app"], "point": {"path": "p"}, "slot": "green", "settings": {"worker_soak_s": 0}}
    assert steps._workers(night.host, request, io.BytesIO()) == {}
    assert "shop-worker@green-1.service" not in night.host.up


def test_workers_that_do_not_stay_after_the_commit_are_told_and_nothing_is_taken_back(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shift, "verify", lambda *_, **__: None)
    monkeypatch.setattr(verifying, "through_entry", lambda *_: {"verified": {}})

    def start(*_: Any, **__: Any) -> None:
        raise Failed("no worker", evidence=["its log"])

    night.begin()
    night.exchange()
    night.commit()
    monkeypatch.setattr(slots, "move_workers", start)
    request = {"point": {}, "slot": "green", "release": NEW, "settings": {"worker_soak_s": 0}, "entry": {}}
    told = steps._at_last(night.host, {**request, "description": {}, "verify": {"secrets": {}}})
    assert told == {"verified": {}, "unwell": "no worker\n  its log"}


def test_what_is_not_well_after_the_way_back_is_looked_after_until_it_is(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.begin()
    night.exchange()
    monkeypatch.setattr(probe, "check", lambda *_, **__: ["refused"])
    assert guard.resolve(night.host, reason="its driver is gone") == "returned"
    assert "the maintenance page stays" in arbiter.lines(night.host)[-1]["reason"]
    night.host.told.clear()
    for _ in range(2):
        guard._look_after(night.host)
    assert (night.host.site.state / "maintenance").exists()
    assert night.host.site.pending.exists()
    assert not night.host.did("systemctl", "stop"), "what may be on its way is not stopped again"
    with pytest.raises(Failed, match="not well yet") as refused:
        restoring.restore(night.host, {"point": {}})
    assert refused.value.refused
    monkeypatch.setattr(probe, "check", lambda *_, **__: [])
    guard._look_after(night.host)
    night.require_morning("well again")
    assert "shop-worker@blue-1.service" in night.host.up


def test_before_an_exchange_jobs_are_stopped_too_and_none_is_begun_until_it_is_over(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unit in ("shop-nightly@blue-1.service", "shop-nightly@blue-1.timer"):
        night.host.write(night.host.site.root.parent / "units" / unit, "")
    slots.stop(night.host, "blue")
    assert not night.host.did("stop", "shop-nightly@blue-1.service"), "in the middle of its work it is left alone"
    monkeypatch.setattr(migrating, "_runs", lambda _, unit: unit == "shop-migrate.service")
    night.begin()
    night.exchange()
    assert night.host.did("stop", "shop-nightly@blue-1.service")
    assert night.host.did("stop", "shop-migrate.service")
    with pytest.raises(Failed, match="takes the database along") as refused:
        steps._once(night.host, {"process": "seed"}, io.BytesIO())
    assert refused.value.refused


def test_the_page_is_not_taken_away_in_an_exchange_and_stays_after_it_where_somebody_has_asked(night: Night) -> None:
    night.begin()
    night.exchange()
    request = {"roles": ["entry"], "maintenance": False}
    with pytest.raises(Failed, match="takes the database along"):
        steps._maintenance(night.host, request, io.BytesIO())
    assert (night.host.site.state / "maintenance").exists()
    steps._maintenance(night.host, {**request, "maintenance": True}, io.BytesIO())
    night.undo()
    assert night.server.names == {NAME: SERVING, ASIDE: EARLIER}
    assert (night.host.site.state / "maintenance").exists()


def test_a_copy_that_cannot_be_taken_away_is_left_to_unlock(night: Night) -> None:
    night.begin()
    night.server.down = True
    with pytest.raises(Failed, match="no server") as failed:
        settling.end_exchange(night.host)
    assert "`unlock`" in failed.value.hint


def test_whoever_ends_an_exchange_holds_the_decision(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"owner": "ada", "purpose": "rollback", "lease_s": 60}
    unlock = {"roles": ["arbiter"], "who": "carol", "holder": "run-2"}
    resolve, held = restoring.resolve, []

    def resolved(host: Host) -> Failed | None:
        held.append(host.decides)
        return resolve(host)

    monkeypatch.setattr(restoring, "resolve", resolved)
    for end in (
        lambda: agent._tidy(night.host, lock, {}),
        lambda: steps._unlock(night.host, unlock, io.BytesIO()),
        lambda: restoring.forget(night.host, {}),
    ):
        night.begin()
        end()
        assert not night.host.site.exchange.exists()
    assert held == [True, True, True]


@pytest.mark.parametrize("came", [False, True])
def test_unlock_ends_what_the_broken_run_had_begun_and_nothing_of_who_came_since(
    night: Night, monkeypatch: pytest.MonkeyPatch, came: bool
) -> None:
    night.begin()
    arbiter.take(night.host, owner="ada", purpose="rollback", lease_s=60)
    free = arbiter.unlock

    def unlock(host: Host, **whose: str) -> Any:
        broken = free(host, **whose)
        if came:
            other = Host(host.site, run="run-3")
            arbiter.take(other, owner="bob", purpose="rollback", lease_s=60)
            told = json.loads(host.site.exchange.read_text())
            other.write_json(host.site.exchange, {**told, "run": "run-3"})
        return broken

    monkeypatch.setattr(arbiter, "unlock", unlock)
    steps._unlock(night.host, {"roles": ["arbiter"], "who": "carol", "holder": "run-2"}, io.BytesIO())
    assert (FRESH in night.server.names) is came
    assert night.host.site.exchange.exists() is came


def test_a_run_that_slept_until_the_guard_had_undone_it_exchanges_nothing_any_more(night: Night) -> None:
    night.begin()
    night.exchange()
    night.undo()
    night.host.run_id = "run-2"
    before = night.server.names
    with pytest.raises(Failed, match="put back the database"):
        restoring.exchange(night.host, {"release": NEW, "settings": {"confirm_s": 60}})
    assert night.server.names == before
    assert not (night.host.site.state / "exchange.json").exists()


def test_a_guard_that_waited_for_a_driver_sees_the_time_that_was_given_meanwhile(
    host: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(host, confirm_s=0)

    @contextmanager
    def held(of: Host) -> Iterator[None]:
        settling.extend(host, by_s=60)  # by the driver, which held the decision
        with deciding(of):
            yield

    monkeypatch.setattr(guard, "deciding", held)
    guard._look_after(host)
    assert shift.state(host)["phase"] == "shifting"


@pytest.mark.parametrize("unwell", [True, False])
def test_a_rollback_that_was_undone_says_whether_it_found_its_release_unwell(host: Systemd, unwell: bool) -> None:
    host.journal("start", "started", release=OLD)
    if unwell:
        host.journal("judge", "failed", release=OLD)
    line = {"event": "rollback", "release": OLD, "schema_before": "2", "schema_after": "1",
            "with_database": {"path": "p", "kept": "k"}}  # fmt: skip
    request = {"roles": ["arbiter"], "line": line}
    steps._ended(host, request, "failed", "ill")
    last = arbiter.lines(host)[-1]
    assert (last["tried"], last["schema_after"], last["with_database"]) == (unwell, "2", {"path": "p"})


def test_a_rollback_that_was_refused_before_anything_was_touched_is_in_no_ledger(host: Systemd) -> None:
    host.run_id = "run-3"
    before = arbiter.lines(host)
    steps._ended(
        host, {"roles": ["arbiter"], "line": {"with_database": {"path": "p"}, "release": OLD}}, "failed", "gone"
    )
    assert [line for line in arbiter.lines(host) if line not in before] == []
