"""Going through steps against a real server: one client, its cookies, its limits, and nothing secret in its results."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import verify
from tests.support.steps import step

PASSWORD = 'pa ss&"kezzle'
LOGIN = step("log in", method="POST", path="/login", form={"name": "{unique}", "password": "{secret:PASSWORD}"})


class Handler(BaseHTTPRequestHandler):
    """Logs in, says who is asking, echoes, trickles, hangs up."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def answer(self, status: int, body: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body.encode())), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/login":
            told = parse_qs(text)
            good = told["password"] == [PASSWORD]
            self.answer(200 if good else 401, json.dumps(told), Set_Cookie=f"who={told['name'][0]}; Secure")
        else:
            self.answer(201, text, Location=f"/notes/{len(text)}", X_Kind=self.headers["Content-Type"])

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.path == "/me":
            self.answer(200, self.headers.get("Cookie") or "nobody")
        elif self.path == "/headers":
            self.answer(200, json.dumps({name.lower(): value for name, value in self.headers.items()}))
        elif self.path == "/trickle":
            self.trickle()
        elif self.path == "/large":
            self.answer(200, "x" * (verify.LONGEST + 7) + "end")
        elif self.path == "/hang-up":
            self.close_connection = True
        else:
            self.answer(404, f"no {self.path}")

    def trickle(self) -> None:
        """Send a byte every 50 ms, so that no single wait is long."""
        self.send_response(200)
        self.send_header("Content-Length", "10000")
        self.end_headers()
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b".")
                time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[verify.Place]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield verify.Place(
            "slot", "127.0.0.1", serving.server_port, "notes.test", headers={"X-Forwarded-Proto": "https"}
        )
        serving.shutdown()


def went(server: verify.Place, *steps: dict[str, Any], timeout_s: float = 10, **more: Any) -> list[dict[str, Any]]:
    given = {"release": "r1", "given": {"PASSWORD": PASSWORD}, "writes": True, **more}
    return verify.run(list(steps), server, timeout_s=timeout_s, **given).results


def words(results: list[dict[str, Any]]) -> list[str]:
    return [result["result"] for result in results]


def test_cookies_and_saved_values_are_kept_from_step_to_step(server: verify.Place) -> None:
    note = {"title": "{user}", "n": 1}
    kept = {"status": [201], "headers": {"X-Kind": "application/json"}, "json": {"title": "{unique}", "n": 1}}
    results = went(
        server,
        LOGIN | {"save": {"user": {"cookie": "who"}}},
        step("who am I", path="/me", expect={"contains": ["who={unique}", "who={user}"]}),
        step("write", method="POST", path="/notes", json=note, save={"at": {"header": "location"}}, expect=kept),
        step("read", path="/n/{at}", expect={"status": [404], "contains": ["no /n/%2Fnotes%2F"]}),
    )
    assert words(results) == ["passed"] * 4, results
    assert results[0]["request"] == "POST /login"


def test_each_run_is_a_client_of_its_own(server: verify.Place) -> None:
    assert words(went(server, LOGIN)) == ["passed"]
    assert words(went(server, step(path="/me", expect={"contains": ["nobody"]}))) == ["passed"]


def test_an_application_sees_what_an_entry_would_say_and_a_step_wins(server: verify.Place) -> None:
    wanted = {"host": "notes.test", "x-forwarded-proto": "https", "accept": "text/x", "user-agent": "mine"}
    results = went(server, step(path="/headers", headers={"Accept": "text/x", "User-Agent": "mine"},
                                expect={"json": wanted}))  # fmt: skip
    assert words(results) == ["passed"], results


def test_after_the_first_failure_nothing_is_asked(server: verify.Place) -> None:
    results = went(server, step("gone", path="/gone"), step("after", path="/me"))
    assert words(results) == ["failed", "left out"]
    assert results[0]["reason"] == "expected status 200, came 404; the answer begins: no /gone"
    assert verify.sentence(results[0]) == f"verify step 'gone' (GET /gone, slot): {results[0]['reason']}"
    assert "'gone' failed before it" in results[1]["reason"]
    assert Handler.asked == ["/gone"]


def test_steps_that_write_are_not_asked_where_that_is_not_wanted(server: verify.Place) -> None:
    results = went(server, step("w", path="/gone", writes=True), step("r", path="/me"), writes=False)
    assert words(results) == ["left out", "passed"]
    assert Handler.asked == ["/me"]


def test_an_answer_that_trickles_in_is_cut_off_in_time(server: verify.Place) -> None:
    began = time.monotonic()
    results = went(server, step(path="/trickle", expect={"within_s": 0.3}))
    assert time.monotonic() - began < 3
    assert results[0]["reason"] == "expected status 200, came none: no whole answer within 0.3 s"


def test_the_run_ends_in_time_whatever_its_steps_may_take(server: verify.Place) -> None:
    slow = [step(f"s{number}", path="/trickle") for number in range(5)]
    began = time.monotonic()
    results = went(server, *slow, timeout_s=0.3)
    assert time.monotonic() - began < 3
    assert words(results) == ["failed", *["left out"] * 4]
    late = went(server, step(path="/me"), timeout_s=0)
    assert late[0]["reason"] == "expected all steps within 0 s, they took longer"


def test_a_server_that_hangs_up_or_is_not_there_is_an_answer(server: verify.Place) -> None:
    assert "came none: Remote end closed connection" in went(server, step(path="/hang-up"))[0]["reason"]
    nobody = verify.Place("slot", "127.0.0.1", 1, "notes.test")
    assert "refused" in went(nobody, step())[0]["reason"]


def test_of_a_large_answer_the_beginning_is_looked_at(server: verify.Place) -> None:
    results = went(server, step(path="/large", expect={"contains": ["end"]}))
    assert results[0]["reason"].startswith("expected 'end' in the body; the answer begins: xxx")
    assert len(results[0]["reason"]) < 300


def test_what_the_inventory_does_not_give_is_named(server: verify.Place) -> None:
    results = went(server, LOGIN, given={})
    assert results[0]["reason"] == "the inventory gives no secret PASSWORD"


def test_a_header_that_http_does_not_allow_is_refused_without_showing_it(server: verify.Place) -> None:
    results = went(server, step(headers={"X": "{secret:PASSWORD}"}), given={"PASSWORD": "a\r\nSet-Cookie: b"})
    assert results[0]["reason"] == (
        "expected status 200, came none: the request holds a character that HTTP does not allow"
    )


def test_secrets_and_sessions_are_in_no_result(server: verify.Place) -> None:
    shouting = LOGIN | {"expect": step(expect={"json": {"password": "x"}})["expect"]}
    session = [step(path="/me", expect={"contains": ["Bye"]})]
    results = [*went(server, shouting), *went(server, LOGIN, *session)]
    assert words(results) == ["failed", "passed", "failed"]
    text = json.dumps(results)
    for part in ("pa ss", "pa%20ss", "pa+ss", "ss&", "kez"):
        assert part not in text
    assert "***" in results[0]["reason"]
    assert "the answer begins: who=***" in results[2]["reason"]


def test_a_saved_value_is_in_no_result_nor_where_it_first_came(server: verify.Place) -> None:
    ask = step(method="POST", path="/token", json={"token": "eyJhbGciOi-42"}, save={"token": {"json": "token"}})
    first = went(server, ask | {"expect": step(expect={"status": 200})["expect"]})
    later = went(
        server,
        ask | {"expect": step(expect={"status": 201})["expect"]},
        step("use it", path="/{token}", expect={"status": 200}),
    )
    assert [*words(first), *words(later)] == ["failed", "passed", "failed"]
    assert "eyJhbGciOi" not in json.dumps([first, later])


def test_a_secret_that_the_end_of_what_is_shown_would_cut_is_not_there_in_half(server: verify.Place) -> None:
    long = step(method="POST", path="/notes", json=["x" * 190, "{secret:PASSWORD}"], expect={"contains": ["Bye"]})
    (result,) = went(server, long | {"expect": step(expect={"status": 201, "contains": ["Bye"]})["expect"]})
    assert "pa ss" not in result["reason"]
    assert "***" in result["reason"]
