"""Sizes, files and statements of role postgresql."""

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_logins as logins
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_plan as plan
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_server as server
from hypothesis import given
from hypothesis import strategies as st

HBA = "# somebody's own\nlocal all postgres peer\nhost all all 127.0.0.1/32 scram-sha-256\n"
WISH: dict[str, Any] = {"name": "notes", "owner": "notes", "password": "secret", "extensions": ["pg_trgm"]}


def megabytes(settings: dict[str, str], name: str) -> int:
    return int(settings[name].removesuffix("MB"))


@given(st.integers(min_value=1024, max_value=4 * 1024 * 1024), st.integers(min_value=25, max_value=100))
def test_sizes_stay_within_the_memory(total: int, percent: int) -> None:
    found = plan.sizes(total * plan.MB, percent)
    budget = total * percent // 100
    used = megabytes(found, "shared_buffers") + megabytes(found, "maintenance_work_mem")
    assert used + int(found["max_connections"]) * megabytes(found, "work_mem") <= budget
    assert all(int(found[name].removesuffix("MB")) > 0 for name in found if found[name].endswith("MB"))


def test_sizes_of_known_hosts() -> None:
    small, large = plan.sizes(1 * plan.GB), plan.sizes(64 * plan.GB, 75)
    assert (small["shared_buffers"], small["work_mem"], small["max_connections"]) == ("128MB", "1MB", "100")
    assert (large["shared_buffers"], large["work_mem"], large["max_connections"]) == ("12288MB", "30MB", "400")


def test_a_few_kilobytes_of_memory_ask_for_no_restart() -> None:
    assert plan.sizes(2 * plan.GB + 5000) == plan.sizes(2 * plan.GB + 900_000)


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        plan.sizes(plan.GB, 0)


def test_our_block_comes_first_and_goes_again() -> None:
    once = plan.merged(HBA, ["host a b"])
    assert once.splitlines()[1] == "host a b"
    assert plan.merged(once, ["host a b"]) == once
    assert plan.merged(plan.merged(once, ["host c d"]), []) == HBA


def test_access_from_elsewhere_needs_tls() -> None:
    rule = {"database": "notes", "user": "notes", "from": "192.0.2.7"}
    assert plan.access([WISH], [rule])[-1] == 'hostssl "notes" "notes" 192.0.2.7/32 scram-sha-256'


def test_all_that_is_wrong_is_said_at_once() -> None:
    rule = {"database": "notes", "user": "notes", "from": "nowhere"}
    found = plan.problems([{**WISH, "name": 'a"b'}, WISH, {**WISH, "password": "x"}], [rule], {"a = b": 1})
    assert len(found) == 4
    assert not any("secret" in line for line in found)


def test_a_new_database_needs_all_steps_and_a_finished_one_none() -> None:
    steps = plan.roles([WISH], {}, lambda *_: False, lambda password: f"V({password[::-1]})")
    steps += plan.bases([WISH], {})
    assert [step.what for step in steps] == [
        "create role notes",
        "set the password of notes",
        "create database notes",
        "close database notes to others",
        "add pg_trgm to notes",
    ]
    assert not any("secret" in step.sql or "secret" in step.what for step in steps)
    role = {"super": False, "login": True, "password": "V"}
    base = {"owner": "notes", "public": False, "extensions": ["plpgsql", "pg_trgm"]}
    assert plan.roles([WISH], {"notes": role}, lambda *_: True, str) == []
    assert plan.bases([WISH], {"notes": base}) == []


def test_what_is_set_by_hand_is_left_and_what_is_asked_for_is_not() -> None:
    foreign = [{"name": "work_mem", "setting": "7MB"}, {"name": "shared_buffers", "setting": "128MB"},
               {"name": "port", "setting": "5433"}]  # fmt: skip
    computed = {"work_mem": "4MB", "shared_buffers": "256MB"}
    assert plan.chosen(computed, {"port": "5432"}, foreign) == {"shared_buffers": "256MB", "port": "5432"}


def test_the_rights_of_others_are_left_alone() -> None:
    with pytest.raises(ValueError, match="superuser"):
        plan.roles([WISH], {"notes": {"super": True, "login": True, "password": None}}, lambda *_: True, str)
    with pytest.raises(ValueError, match="belongs to 'eve'"):
        plan.bases([WISH], {"notes": {"owner": "eve", "public": True, "extensions": []}})


@given(st.text())
def test_a_literal_is_one_word_or_refused(text: str) -> None:
    try:
        written = plan.literal(text)
    except ValueError:
        return
    assert written[1:-1].replace("''", "") .count("'") == 0  # fmt: skip
    assert written[1:-1].replace("''", "'") == text


def test_listeners_are_named() -> None:
    line = 'LISTEN 0 5 0.0.0.0:5432 0.0.0.0:* users:(("docker-proxy",pid=7,fd=4))'
    assert plan.listeners(f"{line}\n{line}\n") == ["docker-proxy"]
    assert plan.listeners("LISTEN 0 5 0.0.0.0:5432 0.0.0.0:*\n") == [plan.UNNAMED]


def test_clusters_are_read() -> None:
    listing = "15 main 5432 online postgres /var/lib/postgresql/15/main /var/log/postgresql/postgresql-15-main.log\n"
    [cluster] = server.parse(listing)
    assert (cluster.version, cluster.port, cluster.running) == ("15", 5432, True)
    assert cluster.unit == "postgresql@15-main.service"


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/system.slice/x\n", {"sys/fs/cgroup/system.slice/memory.max": "2147483648"}, 2),
        ("0::/system.slice/x\n", {"sys/fs/cgroup/system.slice/memory.max": "max"}, 8),
        ("5:memory:/box/x\n0::/y\n", {"sys/fs/cgroup/memory/box/memory.limit_in_bytes": "1073741824"}, 1),
        ("5:memory:/elsewhere\n", {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 8),
    ],
)
def test_the_limit_of_a_control_group_counts(tmp_path: Path, cgroup: str, files: dict[str, str], expected: int) -> None:
    for name, text in {"proc/meminfo": "MemTotal:  8388608 kB\n", "proc/self/cgroup": cgroup, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert server.memory(tmp_path) == expected * plan.GB


def test_a_file_that_was_written_after_the_last_reload_has_not_been_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = server.parse(f"15 main 5432 online postgres {tmp_path} /var/log/x.log")[0]
    files = [tmp_path / "ferryman.conf", tmp_path / "not-there"]
    files[0].touch()
    written = files[0].stat().st_mtime
    for loaded, read in ((written - 1, False), (written + 1, True)):
        monkeypatch.setattr(server.Server, "sql", lambda *_, at=loaded: f"{at:.6f}\n")
        assert server.Server(cluster).has_read(files) is read


LOGIN = {
    "name": "archive", "password": "secret", "replication": True, "member_of": ["pg_read_all_data"],
    "functions": ["pg_switch_wal()"], "databases": ["notes"], "from": ["192.0.2.7", "2001:db8::/64"],
}  # fmt: skip
HAS = {
    "super": False, "login": True, "replication": True, "password": "secret", "member_of": ["pg_read_all_data"],
    "functions": ["pg_switch_wal()"], "databases": ["postgres", "notes"],
}  # fmt: skip


def login_steps(found: Any, **more: Any) -> list[str]:
    listed = logins.steps([{**LOGIN, **more}], {"archive": found}, lambda a, b: a == b, lambda word: f"of {word}")
    return [step.what for step in listed]


def test_a_login_is_made_with_all_that_it_may_and_once() -> None:
    assert login_steps(None) == [
        "create role archive", "let archive replicate", "set the password of archive",
        "make archive a member of pg_read_all_data", "let archive call pg_switch_wal()", "let archive into notes",
    ]  # fmt: skip
    assert login_steps(HAS) == []


def test_what_a_login_lacks_is_given_and_nothing_is_taken_back() -> None:
    assert login_steps({**HAS, "login": False, "functions": []}) == [
        "let archive log in", "let archive call pg_switch_wal()",
    ]  # fmt: skip
    assert login_steps(HAS, member_of=[], functions=[], databases=[], replication=False) == []


def test_a_login_that_is_a_superuser_is_refused() -> None:
    with pytest.raises(ValueError, match="'archive' is a superuser"):
        login_steps({**HAS, "super": True})


def test_a_login_comes_over_tls_alone_and_reads_the_stream_only_where_it_may() -> None:
    assert logins.access([LOGIN]) == [
        'hostssl all "archive" 192.0.2.7/32 scram-sha-256', 'hostssl replication "archive" 192.0.2.7/32 scram-sha-256',
        'hostssl all "archive" 2001:db8::/64 scram-sha-256',
        'hostssl replication "archive" 2001:db8::/64 scram-sha-256',
    ]  # fmt: skip
    assert not any("replication" in line for line in logins.access([{**LOGIN, "replication": False}]))


def test_every_mistake_in_a_login_is_named_at_once() -> None:
    wrong = {**LOGIN, "name": "x y", "functions": ["drop table x"], "from": ["nowhere"], "member_of": ['a"b']}
    assert [line.split(":")[0] for line in logins.problems([wrong, {**LOGIN, "name": "notes"}], ["notes"])] == [
        "logins[0].name", "logins[0].member_of", "logins[0].functions", "logins[0].from", "logins[1].name",
    ]  # fmt: skip
    assert logins.problems([LOGIN], ["notes"]) == []


def test_any_one_of_the_standbys_will_do() -> None:
    assert logins.standbys(["standby-1", "barman_receive_wal"]) == 'ANY 1 ("standby-1", barman_receive_wal)'
    assert logins.standbys([]) == ""


def test_files_of_wal_are_given_to_a_program_once_it_is_there_and_let_go_where_none_is_wished_any_more() -> None:
    ours = {"archive_mode": "on", "archive_command": "/x/send demo %p"}
    assert plan.archiving("/x/send demo", True, "") == ours
    let_go = {"archive_mode": "on", "archive_command": "/bin/true"}
    assert plan.archiving("", False, plan.conf(ours)) == plan.archiving("", False, plan.conf(let_go)) == let_go


def test_a_server_that_never_archived_is_left_as_it_is() -> None:
    for program in ("", "/x/send demo"):
        assert plan.archiving(program, False, plan.conf({"shared_buffers": "1GB"})) == {}


NOISE = [f"1 LOG:  an older line {number}" for number in range(40)]
AFTER = ["2 LOG:  startup process (PID 2) exited with exit code 1", "1 LOG:  terminating any other active processes",
         "1 LOG:  shutting down due to startup process failure", "1 LOG:  database system is shut down",
         "pg_ctl: could not start server", "Examine the log output."]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "first", "told"),
    [
        ([*NOISE, "1 LOG:  starting", "2 LOG:  was shut down", "2 FATAL:  no room", *AFTER], "1 LOG:  starting", 6),
        ([*NOISE, "1 LOG:  no such setting in line 3", "1 FATAL:  its configuration", *AFTER[4:]], NOISE[-1], 5),
        ([*NOISE, "2 FATAL:  no room", "2 DETAIL:  17 bytes", "2 HINT:  make some", *AFTER], NOISE[-2], 6),
        (["1 PANIC:  no valid checkpoint"], "1 PANIC:  no valid checkpoint", 1),
        (["1 FATAL:  of another day", *NOISE], NOISE[-6], 6),
        (NOISE[:3], NOISE[0], 3),
        ([], "", 0),
    ],
)
def test_what_ended_a_start_is_told_however_much_was_written_after_it(
    written: list[str], first: str, told: int
) -> None:
    found = server.of_a_start(written)
    assert ([*found, ""][0], len(found)) == (first, told)
    why = [line for line in written[-20:] if line.split()[1:2] in (["FATAL:"], ["PANIC:"], ["DETAIL:"], ["HINT:"])]
    assert why == [line for line in found if line in why]


def test_why_a_start_ended_is_told_although_a_client_was_turned_away_before_it() -> None:
    why = ["postgres: could not find the database system", "Expected to find it in /x",
           'but could not open file "/x/global/pg_control": No such file or directory']  # fmt: skip
    before = ["3 FATAL:  the database system is shutting down", "1 LOG:  checkpoint starting: shutdown immediate",
              "1 LOG:  checkpoint complete", "1 LOG:  database system is shut down"]  # fmt: skip
    assert server.of_a_start([*NOISE, *before, *why])[-3:] == why
