"""The prober is what nearly every fault test believes; it must not be happy with less than answers."""

import errno
import http.client
import io
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support import prober
from tests.support.prober import Prober

if TYPE_CHECKING:
    from tests.support.site import Site


class Answers:
    """A site that gives the same body to everyone."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.body, self.status, self.sock = body, status, "open"

    def connect(self) -> "Answers":
        return self

    def request(self, *_: Any, **__: Any) -> None:
        """Take a request."""

    def getresponse(self) -> http.client.HTTPResponse:
        reply = cast("Any", io.BytesIO(self.body))
        said = type("Reply", (), {"status": self.status, "read": reply.read})
        return cast("http.client.HTTPResponse", said)

    def close(self) -> None:
        """Nothing is open."""


def asked(site: Answers, seconds: float = 0.1) -> Prober:
    """Return a prober that has asked for a while."""
    with Prober(cast("Site", site), pause_s=0.002) as asking:
        time.sleep(seconds)
    return asking


def test_a_client_that_got_its_release_each_time_is_content() -> None:
    asked(Answers(b'{"release": "r1"}')).served_only("r1")


@pytest.mark.parametrize("site", [Answers(b"{}"), Answers(b"[]"), Answers(b"oops"), Answers(b"{}", 502)])
def test_an_answer_that_names_no_release_is_a_failure_and_does_not_end_the_asking(site: Answers) -> None:
    seen = asked(site)
    assert len(seen.failed) > 1
    with pytest.raises(AssertionError):
        seen.served_only("r1")


def test_few_answers_prove_nothing() -> None:
    seen = asked(Answers(b'{"release": "r1"}'))
    seen.releases = {"r1": prober.ENOUGH - 1}
    with pytest.raises(AssertionError):
        seen.served_only("r1")


def test_a_prober_that_ended_before_its_test_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prober, "_ask_on", lambda _: None)
    with pytest.raises(AssertionError, match="nobody has asked"):
        asked(Answers(b'{"release": "r1"}'))


class Gone(Answers):
    """A host without power."""

    def connect(self) -> "Answers":
        raise ConnectionRefusedError("nobody is here")


@pytest.mark.parametrize(
    ("site", "forgiven"),
    [
        (Gone(b""), True),
        (Answers(b'<meta name="generator" content="ferryman-unavailable">', 502), True),
        (Answers(b"{}", 502), False),
        (Answers(b"oops"), False),
    ],
)
def test_without_power_no_answer_is_no_failure_but_a_wrong_one_is(site: Answers, forgiven: bool) -> None:
    with Prober(cast("Site", Answers(b'{"release": "r1"}')), pause_s=0.002) as asking:
        time.sleep(0.1)
        with asking.without_power():
            asking.site = cast("Site", site)
            time.sleep(0.1)
            asking.site = cast("Site", Answers(b'{"release": "r1"}'))
    assert bool(asking.failed) != forgiven
    assert bool(asking.unanswered) == forgiven


class Unreachable(Answers):
    """A host that this machine finds no way to."""

    def request(self, *_: Any, **__: Any) -> None:
        raise OSError(errno.EHOSTUNREACH, "No route to host")


def test_a_host_that_has_just_come_back_may_not_be_found_at_once_and_any_other_must_be() -> None:
    with Prober(cast("Site", Answers(b'{"release": "r1"}')), pause_s=0.002) as asking:
        with asking.without_power():
            time.sleep(0.05)
        asking.site = cast("Site", Unreachable(b""))
        time.sleep(0.05)
    assert (asking.failed, asking.unanswered > 0) == ([], True)
    assert asked(Unreachable(b"")).failed


def test_no_answer_is_a_failure_where_the_host_has_power() -> None:
    seen = asked(Gone(b""))
    assert (bool(seen.failed), seen.unanswered) == (True, 0)
