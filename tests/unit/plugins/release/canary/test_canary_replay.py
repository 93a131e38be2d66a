"""What failed with a release that everybody has is asked of both once more: the reads that failed last, and no more."""

from __future__ import annotations

from ansible_collections.ferryman.ops.plugins.module_utils.release.canary import replay
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer
from tests.support.access_log import line

AT = 1_764_190_020.0
NEW, OLD = ("127.0.0.1", 20010), ("127.0.0.1", 20020)


def failed(*lines: bytes) -> list[str]:
    """The paths that are asked for once more after such lines."""
    found = replay.Failed("green")
    for each in lines:
        found.count(each)
    return found.last()


def test_the_last_reads_that_failed_with_new_are_asked_for_each_once() -> None:
    told = ["/a", "/b", "/c", "/d", "/b"]
    assert failed(*(line(AT, arm="green", status=502, path=path) for path in told)) == ["/b", "/d", "/c"]


def test_what_was_answered_what_old_failed_and_what_writes_is_not_asked_again() -> None:
    wrote = line(AT, arm="green", status=500, path="/pay").replace(b'"GET"', b'"POST"')
    odd = line(AT, arm="green", status=500, path='/\\"x')
    assert not failed(line(AT, arm="green", status=404), line(AT, arm="blue", status=500), wrote, odd)


def test_both_are_asked_and_old_only_for_what_fails_again_with_new() -> None:
    answers = {(NEW, "/a"): 500, (OLD, "/a"): 503, (NEW, "/b"): 200, (NEW, "/c"): 502, (OLD, "/c"): 200}
    asked = []

    def get(process: replay.Process, path: str, limit_s: float) -> Answer:
        assert limit_s == replay.LIMIT_S
        asked.append((process, path))
        return Answer(status=answers[process, path])

    assert replay.replayed(["/a", "/b", "/c"], [NEW], [OLD], get) == (2, 1)
    assert asked == [(NEW, "/a"), (OLD, "/a"), (NEW, "/b"), (NEW, "/c"), (OLD, "/c")]


def test_no_answer_is_a_failure_and_where_a_release_does_not_run_nothing_is_asked() -> None:
    def get(*_: object) -> Answer:
        return Answer(error="timed out")

    assert replay.replayed(["/a"], [NEW], [OLD], get) == (1, 1)
    assert replay.replayed(["/a"], [NEW], [], get) == (0, 0)


def test_the_expression_knows_a_line_as_the_template_has_it_written() -> None:
    assert len(replay.FAILED.findall(line(AT, arm="green", status=500) * 3)) == 3
