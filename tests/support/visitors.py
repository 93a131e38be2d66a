"""Many clients of one site, each with an address of its own: what a canary is judged by.

They run on the entry itself, where every address of 127.0.0.0/8 is at home; half of them are logged in.

    with Visitors(site, rps=40) as visitors: ...
    visitors.failures          # what they got that was none of 200, with when and from which release
"""

import base64
import json
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support.site import Site

PROGRAM = r"""
import hashlib, http.client, json, random, select, socket, ssl, sys, threading, time

told = json.loads(sys.argv[1])
over, chance, turn = threading.Event(), random.Random(told["seed"]), threading.Lock()
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
counts, failures, latest = {}, [], {}

def ask(number):
    source = f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"
    name = f"c{number}"
    session = hashlib.sha256(f"tiny {name}".encode()).hexdigest()
    headers = {"Host": told["domain"], "Connection": "close"}
    if number % 2:
        headers["Cookie"] = f"session={name}.{session}"
    raw = socket.create_connection(("127.0.0.1", 443), told["timeout_s"], (source, 0))
    connection = http.client.HTTPConnection(told["domain"])
    connection.sock = context.wrap_socket(raw, server_hostname=told["domain"])
    try:
        connection.request("GET", told["path"], headers=headers)
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.headers.get("X-Release", "")
    finally:
        connection.close()

def visit():
    while not over.is_set():
        with turn:
            pause = chance.expovariate(told["rps"] / told["workers"])
            number = int(told["clients"] * chance.random() ** 1.5)
        if over.wait(pause):
            return
        began = time.time()
        try:
            status, release = ask(number)
        except Exception as error:
            status, release = type(error).__name__, ""
        with turn:
            key = f"{release} {status}"
            counts[key] = counts.get(key, 0) + 1
            latest[release] = max(latest.get(release, 0), began)
            if status != 200:
                failures.append({"at": began, "status": status, "release": release})

workers = [threading.Thread(target=visit) for _ in range(told["workers"])]
for worker in workers:
    worker.start()
print("begun", flush=True)
select.select([sys.stdin], [], [], told["most_s"])
over.set()
for worker in workers:
    worker.join()
print(json.dumps({"counts": counts, "failures": failures, "latest": latest}))
"""


@dataclass
class Visitors:
    """Asks for `path` about `rps` times a second, by `clients` of whom some come much oftener than others."""

    site: Site
    rps: float = 40
    clients: int = 200
    path: str = "/shop"
    timeout_s: float = 8
    seed: int = 1
    host: str = ""
    """The entry that they come to; the site's own host where none is said."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many by "<release> <status>"."""
    latest: dict[str, float] = field(default_factory=dict)
    """When somebody asked last who was answered by a release, in seconds since 1970."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    """`at` (when it asked, seconds since 1970), status (or the name of what broke), release (empty where none said)."""

    def __enter__(self) -> Self:
        told = {
            "domain": self.site.domain, "rps": self.rps, "clients": self.clients, "path": self.path, "seed": self.seed,
            "timeout_s": self.timeout_s, "workers": max(8, int(self.rps)), "most_s": 600,
        }  # fmt: skip
        code = base64.b64encode(PROGRAM.encode()).decode()
        run = f"import base64; exec(base64.b64decode('{code}'))"
        words = self.site.reached(f"exec python3 -c {shlex.quote(run)} {shlex.quote(json.dumps(told))}", host=self.host)
        self._asking = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._asking.stdout
        assert self._asking.stdout.readline() == "begun\n"
        return self

    def __exit__(self, *_: object) -> None:
        told = json.loads(self._asking.communicate(timeout=60)[0])
        self.counts, self.failures, self.latest = told["counts"], told["failures"], told["latest"]

    @property
    def asked(self) -> int:
        """How many answers, or none, they got."""
        return sum(self.counts.values())
