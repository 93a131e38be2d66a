"""What failed with a release that everybody has is asked of both once more, on real servers: some of it, drawn."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import asking
from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import replay
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from tests.support.access_log import line

AT = 1_764_190_020.0
NEW, OLD = ("127.0.0.1", 20010), ("127.0.0.1", 20020)


def failed(*lines: bytes) -> list[str]:
    """The paths of what failed in such lines, of which some are drawn."""
    found = replay.Failed("green", 5.0)
    for each in lines:
        found.count(each)
    return found.paths


def test_what_failed_with_new_counts_and_what_cannot_be_asked_again_has_no_path() -> None:
    wrote = line(AT, arm="green", status=500, path="/pay").replace(b'"GET"', b'"POST"')
    odd = line(AT, arm="green", status=500, path="/ü")
    told = [line(AT, arm="green", status=502, path=path) for path in ("/a", "/b/{id}", "/a")]
    assert failed(*told, wrote, odd) == ["/a", "/b/{id}", "/a", "", ""]
    assert not failed(line(AT, arm="green", status=404), line(AT, arm="blue", status=500))


def test_what_fails_for_the_verdict_is_looked_at_also_where_the_other_slot_made_it_good_or_nobody_waited() -> None:
    good = line(AT, arm="green", status=200, upstream_status=502, path="/made-good")
    left = [line(AT, arm="green", status=499, upstream_status=0, seconds=s, path=f"/{s}") for s in (0.5, 6.0)]
    assert failed(good, *left) == ["/made-good", ""], (
        "who waited in vain is not asked again, and counts for new's alone"
    )


def test_each_failed_request_is_as_likely_to_be_drawn_as_any_other() -> None:
    found = replay.Failed("green", 5.0)
    found.paths = ["/often"] * 90 + ["/seldom"] * 10
    drawn = [path for seed in range(300) for path in found.drawn(Random(seed))]
    assert 800 < drawn.count("/often") < 860
    assert Counter(replay.Failed("green", 5.0).drawn(Random(1))) == Counter()


def test_only_what_fails_with_either_release_is_both_s() -> None:
    answers = {(NEW, "/a"): 500, (OLD, "/a"): 503, (NEW, "/b"): 200, (NEW, "/c"): 502, (OLD, "/c"): 200}
    asked = []

    def get(process: replay.Process, path: str, limit_s: float) -> Answer:
        assert limit_s == replay.LIMIT_S
        asked.append((process, path))
        return Answer(status=answers[process, path])

    assert replay.replayed(["/a", "/b", "/c", "", "/a"], [NEW], [OLD], get) == (5, 2)
    assert asked == [(NEW, "/a"), (OLD, "/a"), (NEW, "/b"), (NEW, "/c"), (OLD, "/c")], "each once"


@pytest.mark.parametrize(("seconds", "fails"), [(0.01, 1), (replay.LIMIT_S, 0)])
def test_who_refuses_fails_and_who_takes_long_may_be_slow(seconds: float, fails: int) -> None:
    def get(*_: object) -> Answer:
        return Answer(error="refused", seconds=seconds)

    assert replay.replayed(["/a"], [NEW], [OLD], get) == (1, fails)


def test_where_a_release_does_not_run_nothing_is_looked_at() -> None:
    assert replay.replayed(["/a"], [NEW], [], lambda *_: Answer(status=500)) == (0, 0)


@pytest.mark.parametrize("path", ["/{x}", "/{{x}}", "/${jndi:x}", "/}{", "/%7Bx%7D"])
def test_a_path_is_asked_as_it_was(path: str) -> None:
    asked = []

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["X-Forwarded-For"]))
            self.send_response(500)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        get = asking._getter({"entry": {"domain": "tiny.test"}}, client=replay.CLIENT)
        there = [("127.0.0.1", serving.server_port)]
        assert replay.replayed([path], there, there, get) == (1, 1)
        serving.shutdown()
    assert asked == [(path, replay.CLIENT)] * 2


def test_it_is_looked_again_after_a_while() -> None:
    assert replay.due(None, 100.0)
    assert not replay.due(95.0, 100.0)
    assert replay.due(90.0, 100.0)


def test_the_expression_knows_a_line_as_the_template_has_it_written() -> None:
    assert len(replay.FAILED.findall(line(AT, arm="green", status=500) * 3)) == 3
