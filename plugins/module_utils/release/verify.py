"""Go through the steps of `verify` as one client does, from wherever this runs: a host, or the driver.

One run is one client: it keeps its cookies and what it saved. A step stands on those before it, so the first that fails
is the last that is asked.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ansible_collections.ferryman.ops.plugins.module_utils.release import expect
from ansible_collections.ferryman.ops.plugins.module_utils.release.expect import Answer

LONGEST = 1 << 20  # bytes of a body that are looked at
PASSED, FAILED, LEFT_OUT = "passed", "failed", "left out"
AGENT = "ferryman-verify"
PRIVATE = 8  # characters from which on a cookie or a saved value may be a session


@dataclass(frozen=True)
class Place:
    """Where steps are asked: `vantage` is one of expect.VANTAGES, `host` the header Host.

    With `tls` the server's name in it is `name`; without, the request goes in clear. `headers` are what an entry adds.
    """

    vantage: str
    address: str
    port: int
    host: str
    name: str = ""
    tls: ssl.SSLContext | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What a run has found: one result a step (name, request, vantage, result, reason, seconds).

    `private` is what nobody is shown of it, beside the secrets: the cookies and saved values that may be a session.
    """

    results: list[dict[str, Any]]
    private: list[str]


def run(
    steps: Sequence[expect.Step],
    place: Place,
    *,
    release: str,
    given: Mapping[str, str],
    writes: bool,
    timeout_s: float,
) -> Run:
    """Ask every step in turn and return what was found.

    `given` are the secrets by name; nothing of them is in a result. All steps together take at most `timeout_s`.
    """
    out = expect.left_out(steps, writes=writes)
    client = _Client(place, {"unique": secrets.token_hex(6), "release": release}, given)
    until = time.monotonic() + timeout_s
    results: list[dict[str, Any]] = []
    for step in steps:
        told = {"name": step["name"], "request": f"{step['method']} {step['path']}", "vantage": place.vantage}
        bad = failed(results)
        began = time.monotonic()
        if bad or step["name"] in out:
            reason = out.get(step["name"]) or f"{bad['name']!r} failed before it"
            told.update(result=LEFT_OUT, reason=reason)
        elif began >= until:
            told.update(result=FAILED, reason=f"expected all steps within {timeout_s:g} s, they took longer")
        else:
            wrong = client.go(step, limit_s=min(step["expect"]["within_s"], until - began))
            told.update(result=FAILED if wrong else PASSED, reason=wrong)
        results.append({**told, "seconds": round(time.monotonic() - began, 3)})
    return Run(results, client.private())


def get(place: Place, path: str, *, limit_s: float) -> Answer:
    """Return the answer to a plain request for `path`, or the error that came instead of one, within `limit_s`."""
    step: dict[str, Any] = {"method": "GET", "headers": {}, "form": {}, "json": None}
    return _ask(place, step, {}, {}, path=path, limit_s=limit_s)


def failed(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the result of the step that failed; empty where none did."""
    return next((result for result in results if result["result"] == FAILED), {})


def sentence(result: Mapping[str, Any]) -> str:
    """Return which step failed, what was expected and what came."""
    return f"verify step {result['name']!r} ({result['request']}, {result['vantage']}): {result['reason']}"


class _Client:
    """What one run knows: its cookies, and the values that fill places in braces."""

    def __init__(self, place: Place, known: Mapping[str, str], given: Mapping[str, str]) -> None:
        self.place = place
        self.known = {**known, **{f"{expect.SECRET}{name}": value for name, value in given.items()}}
        self.jar: dict[str, str] = {}
        self.given = list(given.values())
        self.heard: set[str] = set()  # also what a later answer replaced: logs and answers may still show it

    def go(self, step: expect.Step, *, limit_s: float) -> str:
        """Ask one step and keep what it gives; return what was not as expected, nothing where all was."""
        unknown = sorted(expect.used(step) - set(self.known))
        if unknown:
            return f"the inventory gives no {' and no '.join(name.replace(':', ' ') for name in unknown)}"
        path = expect.fill(step["path"], self.known, expect.in_url)
        answer = _ask(self.place, step, self.known, self.jar, path=path, limit_s=limit_s)
        self.jar = expect.cookies(self.jar, answer, now=time.time())
        values, lost = expect.saved(step["save"], answer, self.jar)
        self.heard |= {*self.jar.values(), *values.values()}  # nor may an answer that is not as expected show them
        wrong = expect.judge(step["expect"], answer, self.known) or lost
        if not wrong:
            self.known.update(values)
        return expect.shown(wrong, answer, [*self.given, *self.private()]) if wrong else ""

    def private(self) -> list[str]:
        """Return what was heard and is long enough to let somebody in."""
        return sorted(value for value in self.heard if len(value) >= PRIVATE)


def _ask(
    place: Place, step: expect.Step, known: Mapping[str, str], jar: Mapping[str, str], *, path: str, limit_s: float
) -> Answer:
    """Return the answer to a step at `path`, or the error that came instead of one, within `limit_s`."""
    began = time.monotonic()
    headers, body = _headers(place, step, known, jar)
    try:
        with _connected(place, limit_s) as stream, _Limit(stream, began + limit_s - time.monotonic()):
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
            # Else the request waits until the end of the handshake is acknowledged: 40 ms each time.
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = http.client.HTTPConnection(place.host)
            connection.sock = stream
            connection.request(step["method"], path, body, headers)
            reply = connection.getresponse()
            text = reply.read(LONGEST).decode(_charset(reply), errors="replace")
        seconds = time.monotonic() - began
        if seconds < limit_s:
            pairs = tuple((name.lower(), value) for name, value in reply.getheaders())
            return Answer(reply.status, pairs, text, seconds)
        error = ""
    except (ValueError, http.client.InvalidURL):  # it would quote the header that it does not like
        error = "the request holds a character that HTTP does not allow"
    except (OSError, http.client.HTTPException) as raised:
        error = str(raised) or type(raised).__name__
    seconds = time.monotonic() - began
    return Answer(seconds=seconds, error=f"no whole answer within {limit_s:.3g} s" if seconds >= limit_s else error)


def _headers(
    place: Place, step: expect.Step, known: Mapping[str, str], jar: Mapping[str, str]
) -> tuple[dict[str, str], bytes | None]:
    """Return the headers (names in lower case, so that a step's own replace ours) and the body of a request."""
    headers = {"host": place.host, "user-agent": AGENT, "connection": "close"}
    headers.update({name.lower(): value for name, value in place.headers.items()})
    if jar:
        headers["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
    body = None
    if step["form"]:
        headers["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(expect.fill(step["form"], known), doseq=True).encode()
    elif step["json"] is not None:
        headers["content-type"] = "application/json"
        body = json.dumps(expect.fill(step["json"], known)).encode()
    headers.update({name.lower(): expect.fill(value, known) for name, value in step["headers"].items()})
    return headers, body


def _connected(place: Place, limit_s: float) -> socket.socket:
    raw = socket.create_connection((place.address, place.port), timeout=limit_s)
    if place.tls is None:
        return raw
    try:
        return place.tls.wrap_socket(raw, server_hostname=place.name, do_handshake_on_connect=False)
    except BaseException:
        raw.close()
        raise


def _charset(reply: http.client.HTTPResponse) -> str:
    name = reply.headers.get_content_charset() or "utf-8"
    try:
        "".encode(name)
    except (LookupError, UnicodeError):
        return "utf-8"
    return name


class _Limit:
    """Ends a connection when its time is over: a socket's own timeout begins anew with every byte that trickles in."""

    def __init__(self, stream: socket.socket, seconds: float) -> None:
        self._timer = threading.Timer(max(0.0, seconds), self._cut, [stream])
        self._timer.daemon = True

    @staticmethod
    def _cut(stream: socket.socket) -> None:
        with suppress(OSError):
            socket.socket.shutdown(stream, socket.SHUT_RDWR)  # not TLS's own, which would wait for its other side

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
