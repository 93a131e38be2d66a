"""What both releases tell of themselves is read from their own processes, over HTTP, on real servers."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import asking, members, names, shift, verifying
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import metrics
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Host
from tests.support.placed import Placed
from tests.support.steps import metric, step

POOL = metric(name="pool", prometheus="pool_free", at_least=1)
QUEUE = metric(name="queue", path="/state", json="queue.waiting", at_most=100)


@contextmanager
def process(answers: dict[str, str]) -> Iterator[str]:
    """A process that answers paths with these texts, and 404 else; one without any answers nobody."""
    over = threading.Event()

    class Application(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Stay silent."""

        def do_GET(self) -> None:
            if not answers:
                over.wait()
            text = answers.get(self.path, "")
            self.send_response(200 if text else 404)
            self.end_headers()
            self.wfile.write(text.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{serving.server_port}"
        over.set()
        serving.shutdown()


def told_by(host: Host, *, new: list[dict[str, str]], old: list[dict[str, str]]) -> dict[str, Any]:
    """Return what an entry hears of a release in slot green whose processes answer like this, and of that before it."""
    request = {"entry": {"domain": "tiny.test"}, "description": {"metrics": [POOL, QUEUE]}, "look": {}}
    with ExitStack() as running:
        for slot, processes in (("green", new), ("blue", old)):
            addresses = [running.enter_context(process(each)) for each in processes]
            members.keep(host, {slot: {"members": {"app1": addresses}}})
        found = asking.both(host, request, ("green", "blue"))
    assert found["probes"] == {}, "it has no steps"
    return dict(found["metrics"])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(names, "PENDING", tmp_path / "pending")
    (tmp_path / "state").mkdir()
    return Host(Placed("tiny", place=tmp_path), run="run", token=1)


WELL = {"/metrics": "pool_free 5\n", "/state": '{"queue": {"waiting": 3}}'}


def test_every_process_of_both_releases_is_heard(host: Host) -> None:
    found = told_by(host, new=[WELL, {**WELL, "/metrics": "pool_free 0\n"}], old=[WELL, WELL])
    assert found["pool"] == {"good": [False, True], "said": ["0", "5"]}
    assert found["queue"] == {"good": [True, True], "said": ["3", "3"]}


def test_steps_are_asked_of_each_process_in_its_turn(host: Host) -> None:
    request = {"entry": {"domain": "tiny.test"}, "description": {"verify": [step("log in")]}}
    request["verify"] = {"secrets": {}, "timeout_s": 5}
    shift.keep(host, {**shift.state(host), "candidate": "green", "release_candidate": "new", "release_stable": "old"})
    with ExitStack() as running:
        for slot, processes in (("green", [{"/": "well"}, {"/other": "ill"}]), ("blue", [{"/": "well"}])):
            addresses = [running.enter_context(process(each)) for each in processes]
            members.keep(host, {slot: {"members": {"app1": addresses}}})
        told = [asking.both(host, {**request, "look": {"turn": turn}}, ("green", "blue")) for turn in range(4)]
    (one, of), (other, _), *again = [each["probed"] for each in told]
    assert (of, again) == (2, [[one, 2], [other, 2]])
    assert one != other
    assert [each["probes"]["log in"] for each in told] == [[True, True], [False, True]] * 2


def test_a_release_before_it_that_never_told_such_a_number_says_nothing(host: Host) -> None:
    found = told_by(host, new=[WELL], old=[{"/": "the old one"}])
    assert found["pool"] == {"good": [True, None], "said": ["5", "/metrics answers 404"]}


def test_one_that_answers_nobody_is_bad_and_takes_no_time_from_the_one_before_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "ANSWER_S", 0.3)
    monkeypatch.setattr(metrics, "MOST_S", 0.5)
    found = told_by(host, new=[{}] * 12, old=[WELL])
    assert found["pool"]["good"] == [False, True]
    assert found["pool"]["said"] == ["/metrics: no whole answer within 0.3 s", "5"]


def test_steps_know_which_release_answers_them_also_while_nobody_is_moved(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"stable": "green", "candidate": None, "release_stable": "r2", "release_candidate": "", "phase": "stable"}
    shift.keep(host, {"format": 1, **state})
    for slot, address in (("green", "127.0.0.1:1"), ("blue", "127.0.0.1:2")):
        members.keep(host, {slot: {"members": {"app1": [address]}}})
    asked = dict[int, str]()

    def probed(_: Any, listens: tuple[str, int], *, release: str) -> dict[str, bool]:
        asked[listens[1]] = release
        return {"look": release == "r2"}

    monkeypatch.setattr(verifying, "probed", probed)
    request: dict[str, Any] = {"verify": {"timeout_s": 1.0}, "beside": "r1"}
    assert asking.both(host, request, ("green", "blue"))["probes"] == {"look": [True, False]}
    assert asked == {1: "r2", 2: "r1"}
    assert asking.both(host, request, ("green", ""))["probes"] == {"look": [True, None]}
    shift.keep(host, {"format": 1, **state, "candidate": "blue", "release_candidate": "r3", "phase": "shifting"})
    asking.both(host, request, ("blue", "green"))
    assert asked == {1: "r2", 2: "r3"}
