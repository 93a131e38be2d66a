"""The smallest application that a deploy can be tried on: standard library only, no database.

`behaviour.json` beside it says what this version shows and how it misbehaves (see tests/support/histories.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).resolve().parent
BORN = time.monotonic()
BEHAVIOUR: dict[str, Any] = json.loads((HERE / "behaviour.json").read_text())
RELEASE = os.environ.get("FERRYMAN_RELEASE", "unreleased")
SHARED = Path(os.environ.get("FERRYMAN_SHARED", HERE / "shared"))
BLOCK = 1 << 18
LEAKED: list[bytes] = []
ILL_SINCE: list[float] = []
"""When it began to be ill: dies_s and errors_s count from then on."""
PAYMENTS: Counter[str] = Counter()  # by their result: a thread more or less is nothing that a share would tell
TEXT, CLOSE = 0x1, 0x8
"""Frames of a websocket that are spoken here (RFC 6455, 5.2)."""
GOING_AWAY = 1001


def age() -> float:
    return time.monotonic() - BORN


def begins(what: str) -> None:
    """Begin to be ill if this is what it `since` is said to be: its start, its first answer that it is ready, or the
    first client that an entry sends. Time alone would not tell: a busy machine is late with each of them."""
    if what != BEHAVIOUR.get("since", "start") or ILL_SINCE:
        return
    ILL_SINCE.append(time.monotonic())
    if "dies_s" in BEHAVIOUR:
        threading.Timer(BEHAVIOUR["dies_s"], die).start()


def fails() -> bool:
    """Say whether it is so ill by now that it answers 500."""
    return bool(ILL_SINCE) and time.monotonic() - ILL_SINCE[0] >= BEHAVIOUR.get("errors_s", float("inf"))


def say(**fields: object) -> None:
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "release": RELEASE, **fields}
    print(json.dumps(line), flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int) -> None:
        self.busy = 0
        self.change = threading.Condition()
        self.leaving = False
        self.sockets: set[Handler] = set()
        super().__init__((os.environ.get("HOST", "127.0.0.1"), port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away is its own affair; anything else belongs in the log.
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            say(level="error", event="request failed", error=repr(error))

    def drain(self) -> None:
        """Take no new connection, say goodbye to websockets, finish what is under way, leave."""
        self.shutdown()
        self.server_close()
        with self.change:
            self.leaving = True
            for each in self.sockets:
                each.frame(CLOSE, GOING_AWAY.to_bytes(2, "big"))
            self.change.wait_for(lambda: self.busy == 0, timeout=30)
        say(level="info", event="stopped")
        os._exit(0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tiny"
    sys_version = ""
    wbufsize = -1  # head and body leave in one packet
    timeout = 65  # longer than any entry keeps an idle connection
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Stay silent: a line per request would be most of the work."""

    def parse_request(self) -> bool:
        # The request counts from its first line on, so that a drain never cuts one off.
        if not super().parse_request():
            return False
        if "X-Real-IP" in self.headers:
            begins("client")
        if hasattr(self, f"do_{self.command}"):
            self.count(1)
        return True

    def count(self, step: int) -> None:
        server = cast("Server", self.server)
        with server.change:
            server.busy += step
            server.change.notify_all()

    def answer(
        self, status: int, body: bytes | dict[str, Any], kind: str = "application/json", *, cookie: str = ""
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", f"session={cookie}; Path=/; HttpOnly; Secure; SameSite=Strict")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Release", RELEASE)
        if self.headers.get("X-Request-Id"):
            self.send_header("X-Request-Id", self.headers["X-Request-Id"])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def do_GET(self) -> None:
        try:
            self.get()
        finally:
            self.count(-1)

    do_HEAD = do_GET  # noqa: N815 -- the base class finds a method by its verb

    def do_POST(self) -> None:
        try:
            if self.path == "/login":
                self.log_in()
            elif self.path == "/rows":
                self.rows("writes", 201)
            else:
                self.upload()
        finally:
            self.count(-1)

    do_PUT = do_POST  # noqa: N815 -- as above

    def get(self) -> None:
        url = urlsplit(self.path)
        if fails() and url.path != "/version":
            self.answer(500, {"error": "this version answers 500 after a while"})
        elif url.path == "/health":
            self.answer(200, {"status": "ok"})
        elif url.path == "/health/ready":
            self.ready()
        elif url.path == "/version":
            slot, host = os.environ.get("FERRYMAN_SLOT"), socket.gethostname()
            self.answer(200, {"release": RELEASE, "text": BEHAVIOUR["text"], "slot": slot, "host": host})
        elif url.path == "/me":
            name = person(self.headers.get("Cookie", ""))
            self.answer(200, {"name": name}) if name else self.answer(401, {"error": "please log in"})
        elif url.path == "/rows":
            self.rows("asks", 200)
        elif show := {"/shop": self.shop, "/metrics": self.metrics, "/socket": self.socket}.get(url.path):
            show()
        elif url.path == "/env":
            self.answer(200, environment())
        elif url.path == "/slow":
            time.sleep(float(parse_qs(url.query).get("s", ["1"])[0]))
            self.answer(200, {"status": "done"})
        elif url.path.startswith(("/media/", "/data/")):
            self.file(url.path)
        elif url.path == "/":
            page = f"<!doctype html><title>tiny</title><h1>{BEHAVIOUR['text']}</h1><p>{RELEASE}</p>\n"
            self.answer(200, page.encode(), "text/html; charset=utf-8")
        else:
            self.answer(404, {"error": "not found"})

    def ready(self) -> None:
        ready = not BEHAVIOUR.get("never_ready") and ("PGDATABASE" not in os.environ or bool(asked("select 1")))
        ready = ready and not misses_something()
        self.answer(200 if ready else 503, {"status": "ready" if ready else "not ready"})
        if ready:
            begins("ready")

    def socket(self) -> None:
        """Speak as a websocket (RFC 6455): each short text comes back behind the release, until either end goes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.close_connection = True
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        server = cast("Server", self.server)
        with server.change:
            server.sockets.add(self)
            if server.leaving:
                self.frame(CLOSE, GOING_AWAY.to_bytes(2, "big"))
        try:
            self.talk(server)
        finally:
            with server.change:
                server.sockets.discard(self)

    def talk(self, server: Server) -> None:
        """Answer frames, none of which is longer than 125 bytes, until one says that it is the last."""
        while len(head := self.rfile.read(6)) == 6:
            kind, mask = head[0] & 0xF, head[2:]
            text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(head[1] & 0x7F)))
            with server.change:
                if kind == TEXT and not server.leaving:
                    self.frame(TEXT, f"{RELEASE} {text.decode()}".encode())
                elif kind == CLOSE:
                    if not server.leaving:
                        self.frame(CLOSE, text[:2])
                    return

    def frame(self, kind: int, data: bytes) -> None:
        """Send a frame; who calls this holds the server's `change`, since two threads may."""
        self.wfile.write(bytes([0x80 | kind, len(data)]) + data)
        self.wfile.flush()

    def shop(self) -> None:
        """What most clients ask for; where versions misbehave that are healthy otherwise."""
        fault = BEHAVIOUR.get("shop", {})
        if "once" in fault and not (SHARED / fault["once"]).exists():
            fault = {}
        time.sleep(fault.get("slow_young_s", 0) if age() < fault.get("young_s", 0) else 0)
        if fault.get("hangs"):
            threading.Event().wait()
        time.sleep(fault.get("slow_s", 0))
        LEAKED.append(b"x" * int(fault.get("leaks_mb", 0) * 2**20))
        concerned = not fault.get("logged_in") or bool(person(self.headers.get("Cookie", "")))
        if concerned and random.random() < fault.get("dies", 0):
            die()
        bad = concerned and random.random() < fault.get("errors", 0)
        PAYMENTS["declined" if random.random() < fault.get("declines", 0) else "ok"] += 1
        self.answer(500 if bad else 200, {"goods": [] if bad else ["bread", "salt"]})

    def metrics(self) -> None:
        """What this version tells of itself: how many connections of its pool are free, what became of payments."""
        told = "pool" in BEHAVIOUR and (SHARED / BEHAVIOUR["pool"]).exists()
        free = 0 if told or age() >= BEHAVIOUR.get("pool_s", float("inf")) else 8
        lines = ["# TYPE pool_free gauge", f'pool_free{{db="main"}} {free}', "# TYPE payments_total counter"]
        lines += [f'payments_total{{result="{result}"}} {count}' for result, count in sorted(PAYMENTS.items())]
        self.answer(200, "\n".join([*lines, ""]).encode(), "text/plain")

    def rows(self, what: str, status: int) -> None:
        """Answer what the database says to the SQL that this version has for it."""
        rows = asked(BEHAVIOUR[what])
        self.answer(status if rows else 500, {"rows": rows} if rows else {"error": "there is nothing to show"})

    def file(self, name: str) -> None:
        base, _, rest = name.lstrip("/").partition("/")
        folder = (SHARED / "media" if base == "media" else HERE / "data").resolve()
        path = (folder / rest).resolve()
        if folder not in path.parents or not path.is_file():
            self.answer(404, {"error": "not found"})
            return
        self.answer(200, path.read_bytes(), "application/octet-stream")

    def log_in(self) -> None:
        """Welcome everybody who says a name and a password; a version whose login is broken tells what it was sent."""
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        told = {name: values[0] for name, values in parse_qs(text).items()}
        broken = age() >= BEHAVIOUR.get("login_fails_s", float("inf")) or (
            BEHAVIOUR.get("login_fails_behind_entry") and "X-Real-IP" in self.headers
        )
        if broken:
            say(level="error", event="login failed", told=told)
            self.answer(500, {"error": "no such table: sessions", "told": told})
        elif not told.get("name") or not told.get("password"):
            self.answer(400, {"error": "a name and a password are wanted"})
        else:
            self.answer(200, {"name": told["name"]}, cookie=session(told["name"]))

    def upload(self) -> None:
        """`/upload` answers the digest of what came; `/media/<name>` keeps it as well."""
        if "Content-Length" not in self.headers:
            self.close_connection = True
            self.answer(HTTPStatus.LENGTH_REQUIRED, {"error": "a length is required"})
            return
        size = left = int(self.headers["Content-Length"])
        digest, kept = hashlib.sha256(), bytearray()
        keep = self.path.startswith("/media/")
        while left:
            block = self.rfile.read(min(BLOCK, left))
            if not block:
                raise ConnectionResetError("the upload ended early")
            left -= len(block)
            digest.update(block)
            if keep:
                kept += block
        if keep:
            store(self.path.rsplit("/", 1)[1], bytes(kept))
        self.answer(201, {"sha256": digest.hexdigest(), "size": size, "release": RELEASE})


def session(name: str) -> str:
    return f"{name}.{hashlib.sha256(f'tiny {name}'.encode()).hexdigest()}"


def person(cookies: str) -> str:
    """Return whose session is among the cookies, or nothing."""
    for cookie in cookies.split("; "):
        kind, _, value = cookie.partition("=")
        name = value.partition(".")[0]
        if kind == "session" and name and value == session(name):
            return name
    return ""


def store(name: str, data: bytes) -> None:
    folder = SHARED / "media"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.{os.getpid()}.{threading.get_ident()}"
    part.write_bytes(data)
    part.replace(folder / name)


def environment() -> dict[str, Any]:
    """Return what reached this process; secrets only as digests."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    files = sorted(Path(folder).iterdir()) if folder else []
    return {
        "names": sorted(os.environ),
        "ferryman": {name: value for name, value in os.environ.items() if name.startswith("FERRYMAN_")},
        "secrets": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "user": os.getuid(),
        "age_s": round(age(), 3),
    }


def web(port: int) -> None:
    if BEHAVIOUR.get("crash"):
        print("fatal: tiny cannot start: no such thing as a flux capacitor", file=sys.stderr, flush=True)
        raise SystemExit(1)
    begins("start")
    time.sleep(BEHAVIOUR.get("start_s", 0))
    server = Server(port)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.drain, daemon=True).start())
    say(level="info", event="listening", port=port, text=BEHAVIOUR["text"])
    server.serve_forever(poll_interval=0.05)
    threading.Event().wait()  # the drain ends the process


def die() -> None:
    print("fatal: tiny was healthy and is now dead", file=sys.stderr, flush=True)
    os._exit(70)


def asked(sql: str) -> list[str]:
    """Return the rows that the database answers, by libpq's own variables; none where it does not answer."""
    psql = max(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    done = subprocess.run([psql, "-XAtqwc", sql], capture_output=True, text=True, timeout=5, check=False)
    if done.returncode:
        say(level="error", event="the database does not answer", said=done.stderr.strip())
    return done.stdout.splitlines()


def mark(name: str, text: str) -> None:
    """Leave a trace of what ran where a test can find it."""
    folder = SHARED / "state"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def worker() -> None:
    mark("worker", f"{RELEASE} started")

    def leave(*_: object) -> None:
        time.sleep(BEHAVIOUR.get("last_job_s", 0))
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    while True:
        time.sleep(3600)


def migrate() -> None:
    """Apply `migrations/*.json` in order; the file `schema` in the shared state stands for the database."""
    done = revision()
    for path in sorted((HERE / "migrations").glob("*.json")):
        step = json.loads(path.read_text())
        if path.stem <= done:
            continue
        say(level="info", event="migrating", revision=path.stem)
        time.sleep(step.get("sleep_s", 0))
        if step.get("fails"):
            print(f"error: migration {path.stem}: relation does not exist", file=sys.stderr, flush=True)
            raise SystemExit(1)
        if step.get("takes"):
            mark("takes", path.stem)
        mark("schema", path.stem)


def misses_something() -> bool:
    """Say whether a migration of a later version has taken something away that this one reads."""
    try:
        takes = (SHARED / "state" / "takes").read_text().split()
    except FileNotFoundError:
        return False
    return any(stem <= revision() and not (HERE / "migrations" / f"{stem}.json").exists() for stem in takes)


def revision() -> str:
    try:
        lines = (SHARED / "state" / "schema").read_text().split()
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""


def main() -> None:
    word = sys.argv[1]
    if word == "web":
        web(int(sys.argv[2]))
    elif word == "worker":
        worker()
    elif word == "migrate":
        migrate()
    elif word == "downgrade":
        mark("schema", sys.argv[2])
    elif word == "revision":
        print(revision())
    else:
        mark(word, RELEASE)


if __name__ == "__main__":
    main()
