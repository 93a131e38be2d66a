"""A release is stopped by its own steps, and what that shows of its log is nobody's session."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import shift, verifying
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host
from tests.support.placed import Placed
from tests.support.steps import step
from tests.unit.plugins.release.test_look import TWO, put

COOKIES = ["first-session-1", "second-session-2"]
TOKEN = "token-of-the-session"
LOGIN = step("log in", path="/login", save={"token": {"json": "token"}})
HOME = step("home", path="/home", expect={"contains": ["Welcome"]})


class Application(BaseHTTPRequestHandler):
    """Gives another session with each answer."""

    asked = 0

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        cookie = COOKIES[type(self).asked]
        type(self).asked += 1
        body = json.dumps({"token": TOKEN}).encode()
        self.send_response(200)
        self.send_header("Set-Cookie", f"session={cookie}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose slot green runs release TWO, and whose log shows what its application should not have written."""
    lines = [f"a request with {word}" for word in ("password-of-ada", *COOKIES, TOKEN, "short")]
    monkeypatch.setattr(shift, "app_logs", lambda *_: lines)
    Application.asked = 0
    site = Placed("tiny", place=tmp_path)
    put(site, TWO)
    path = site.release(TWO) / "release.json"
    web = {"web": {"kind": "web", "command": "run", "instances": 1}}
    path.write_text(json.dumps({**json.loads(path.read_text()), "processes": web}))
    site.slot("green").parent.mkdir(exist_ok=True)
    site.slot("green").symlink_to(f"../releases/{TWO}")
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        ports = {"format": 1, "address": "127.0.0.1", "ports": {"web": {"green": [serving.server_port]}}}
        site.settings.mkdir()
        (site.settings / "ports.json").write_text(json.dumps(ports))
        yield Host(site, run="run", token=1)
        serving.shutdown()


def asked(*steps: dict[str, Any], **secrets: str) -> dict[str, Any]:
    return {
        "release": TWO,
        "entry": {"domain": "tiny.test"},
        "description": {"verify": list(steps)},
        "verify": {"secrets": secrets, "writes": [], "timeout_s": 5},
    }


def test_the_log_of_a_release_that_is_stopped_shows_neither_secrets_nor_sessions(host: Host) -> None:
    """Also not the session that a later answer replaced."""
    with pytest.raises(Failed, match="verify step 'home'") as failed:
        verifying.at_slot(host, asked(LOGIN, HOME, PASSWORD="password-of-ada"), "green")
    assert failed.value.evidence == [*["a request with ***"] * 4, "a request with short"]
