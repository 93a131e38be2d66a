"""`./invoke logs`: what a host wrote, found by request, release, level, time and words, and followed.

Requirements: LOG-1, LOG-4.
"""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from tests.support.histories import good
from tests.support.newcomer import Newcomer


def logs(newcomer: Newcomer, words: str = "", *, code: int = 0) -> list[dict[str, Any]]:
    """Return the lines that the command tells for these words."""
    return list(newcomer.type(f"./invoke logs --json {words}", code=code).said["lines"])


def ask(newcomer: Newcomer, path: str, request_id: str) -> None:
    """Ask as a client that names its request."""
    port, ca = newcomer.ports[8443], f".ferryman/sandbox/{newcomer.name}/ca.pem"
    url = f"https://notes.localhost:{port}{path}"
    newcomer.type(f"curl -s -o /dev/null --cacert {ca} -H 'X-Request-ID: {request_id}' '{url}'")


def test_a_request_is_found_by_its_id_in_the_entry_and_in_the_application(newcomer: Newcomer) -> None:
    ask(newcomer, "/api/notes?word=private", "found-by-its-id")
    lines = logs(newcomer, "--request-id found-by-its-id")
    assert [line["process"] for line in sorted(lines, key=lambda line: line["process"])] == ["entry", "web"]
    assert {line["fields"]["path"] for line in lines} == {"/api/notes"}
    assert {(line["app"], line["release"], line["host"]) for line in lines} == {("notes", newcomer.served(), "local1")}
    assert len({line["slot"] for line in lines}) == 1
    assert "private" not in json.dumps(lines)
    ask(newcomer, "/api/notes", "a b")
    assert logs(newcomer, "--request-id 'a b'") == [], "an id that is none is replaced"


def test_all_of_a_traceback_is_an_error(newcomer: Newcomer) -> None:
    fails = "python3 -c 'def f(): raise RuntimeError(42)\nf()'"
    newcomer.ssh(f"systemd-run --quiet --wait --unit=notes-fails@blue-1 {fails} || :")
    said = [line["message"] for line in logs(newcomer, "--process fails --level error")]
    assert (said[0], said[-1]) == ("Traceback (most recent call last):", "RuntimeError: 42")
    assert len(said) > 3


@pytest.mark.at_times(journey="logs of two releases")
def test_the_release_parts_old_from_new_across_a_deploy_and_back(newcomer: Newcomer) -> None:
    old = newcomer.served()
    ask(newcomer, "/api/notes", "asked-of-the-old")
    newcomer.repository.commit(good("Logged"))
    new = str(newcomer.type("./invoke deploy --json").said["release"])
    ask(newcomer, "/api/notes", "asked-of-the-new")
    newcomer.type("./invoke rollback --json")
    ask(newcomer, "/api/notes", "asked-after-the-way-back")
    of_old, of_new = (logs(newcomer, f"--app notes --release {name} --lines 1000") for name in (old, new))
    assert {line["release"] for line in of_old} == {old}
    assert {line["release"] for line in of_new} == {new}
    asked = {"old": ids(of_old), "new": ids(of_new)}
    assert {"asked-of-the-old", "asked-after-the-way-back"} <= asked["old"]
    assert "asked-of-the-new" in asked["new"]
    assert not asked["old"] & asked["new"]
    # The entry reads it from the answer, of a process it is known by its slot and its time: both say the same.
    for name in asked["old"] | asked["new"]:
        assert sorted(line["process"] for line in [*of_old, *of_new] if line["request_id"] == name) == ["entry", "web"]


def ids(lines: list[dict[str, Any]]) -> set[str]:
    return {line["request_id"] for line in lines if line["request_id"].startswith("asked-")}


def test_lines_are_found_by_time_level_process_and_words_and_are_in_order(newcomer: Newcomer) -> None:
    ask(newcomer, "/api/notes", "before-the-time")
    time.sleep(1.1)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ask(newcomer, "/no/such/page", "within-the-time")
    time.sleep(1.1)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)
    ask(newcomer, "/api/notes", "after-the-time")
    lines = logs(newcomer, f"--since {since} --until {until}")
    told = {line["request_id"] for line in lines}
    assert "within-the-time" in told
    assert not told & {"before-the-time", "after-the-time"}
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    bad = logs(newcomer, "--since 10m --level warning --process entry --grep '/no/such/[a-z]+'")
    assert [line["request_id"] for line in bad] == ["within-the-time"]
    assert {line["process"] for line in logs(newcomer, "--process system --since 1d")} == {"system"}


def test_more_lines_than_are_wanted_are_said_to_be_left_out(newcomer: Newcomer) -> None:
    answer = newcomer.type("./invoke logs --lines 3 --process entry")
    assert len(answer.out.splitlines()) == 3
    assert "older lines are left out" in answer.err
    assert newcomer.type("./invoke logs --lines 3 --process entry --json").said["cut"] is True
    nothing = newcomer.type("./invoke logs --grep never-written-by-anybody --since 10m")
    assert (nothing.out, "no line is like that" in nothing.err) == ("", True)


@pytest.mark.parametrize(
    ("words", "right"),
    [("--since soon", "2h30m"), ("--level loud", "warning"), ("--grep '('", "backslash"), ("--lines 0", "10000"),
     ("--app note", "did you mean notes?"), ("--process wroker", "worker"), ("--release 2001", "the newest are 20")],
)  # fmt: skip
def test_a_bad_word_is_refused_with_what_is_right(newcomer: Newcomer, words: str, right: str) -> None:
    assert right in newcomer.type(f"./invoke logs {words}", code=1).err


@contextmanager
def following(newcomer: Newcomer, words: str) -> Iterator[subprocess.Popen[str]]:
    argv = ["./invoke", "logs", "--follow", *words.split()]
    with subprocess.Popen(
        argv, cwd=newcomer.root, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=newcomer.environment(),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def test_following_shows_what_comes_and_ends_at_ctrl_c_with_nobody_left_behind(newcomer: Newcomer) -> None:
    ask(newcomer, "/api/notes", "before-following")
    with following(newcomer, "--json --app notes --since 5m") as process:
        assert process.stdout
        read: list[dict[str, Any]] = []
        silence = threading.Timer(90, process.kill)  # a reader that shows nothing must not be waited for
        silence.start()

        def until(request_id: str) -> None:
            """Read until the entry and the application have told of a request."""
            while len([line for line in read if line["request_id"] == request_id]) < 2:
                text = process.stdout.readline() if process.stdout else ""
                assert text, process.stderr.read() if process.stderr else ""
                read.append(json.loads(text))

        until("before-following")
        ask(newcomer, "/api/notes", "while-following-1")
        until("while-following-1")
        newcomer.ssh("logrotate -f /etc/logrotate.d/ferryman-nginx")
        ask(newcomer, "/api/notes", "while-following-2")
        until("while-following-2")
        silence.cancel()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0, process.stderr.read() if process.stderr else ""
    lines = [json.dumps(line, sort_keys=True) for line in read]
    assert len(lines) == len(set(lines)), "no line comes twice"
    deadline = time.monotonic() + 20
    left = "pgrep -af 'BECOME-SUCCES[S]|journalctl.*--output=jso[n]' || :"
    while newcomer.ssh(left):
        assert time.monotonic() < deadline, newcomer.ssh(left)
        time.sleep(0.5)


def test_the_database_is_among_those_who_are_read(newcomer: Newcomer) -> None:
    lines = logs(newcomer, "--process database --since 1d --lines 1000")
    assert {line["process"] for line in lines} == {"database"}
    assert any("ready to accept connections" in line["message"] for line in lines)
