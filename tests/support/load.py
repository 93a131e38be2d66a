"""Clients that never stop: kept and new connections, uploads and answers that take their time, websockets. What fails
is counted.

A client of its own over asyncio's streams: the usual ones send an idempotent request again when a kept connection
breaks, and here that is exactly what must be seen.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import aiohttp
from tests.support.histories import good
from tests.support.site import Site

MIB = 1 << 20
CHUNK = 64 * 1024
GOING_AWAY = 1001


@dataclass
class Load:
    """The clients, and what they saw. Times are seconds of the monotonic clock."""

    site: Site
    seed: int
    kept: int = 30
    fresh: int = 14
    uploads: int = 6
    slow: int = 0
    sockets: int = 0
    upload_bytes: int = 10 * MIB
    upload_s: float = 6.0
    slow_s: float = 20.0
    talk_s: float = 3600.0
    """For how long a client talks on a websocket at most."""
    think_s: float = 0.2
    timeout_s: float = 30.0
    forgiving: bool = False
    """Where a kept connection is closed instead of being answered: begin it anew, as clients do. For what reloads."""
    requests: int = 0
    connections: int = 0
    sent: int = 0
    answered_late: int = 0
    talked: int = 0
    went_away: int = 0
    """Websockets that the application closed as going away."""
    heard: dict[str, float] = field(default_factory=dict)
    """When a release last said something on a websocket."""
    failed: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    """When another release answered than before: the moves of clients, as they saw them."""
    in_flight: list[tuple[float, float]] = field(default_factory=list)
    """Beginning and end of each upload."""

    def __post_init__(self) -> None:
        self.over = asyncio.Event()
        self.last = ""
        self.tls = self.site.tls()

    async def during(self, work: Callable[[], None]) -> None:
        """Run all clients until `work`, in a thread of its own, is done."""
        loops: list[Callable[[random.Random], Awaitable[None]]] = [self.keep_asking] * self.kept
        loops += [self.ask_anew] * self.fresh + [self.keep_uploading] * self.uploads
        loops += [self.wait_long] * self.slow + [self.keep_talking] * self.sockets
        clients = [asyncio.create_task(self.client(loop, number)) for number, loop in enumerate(loops)]
        try:
            await asyncio.to_thread(work)
        finally:
            self.over.set()
            await asyncio.gather(*clients)

    async def client(self, loop: Callable[[random.Random], Awaitable[None]], number: int) -> None:
        """One client: what breaks it is counted, and it begins again."""
        chance = random.Random(self.seed * 1000 + number)
        await asyncio.sleep(chance.uniform(0, self.think_s))
        while not self.over.is_set():
            try:
                await loop(chance)
            except (OSError, EOFError, ValueError, TimeoutError, aiohttp.ClientError) as error:
                self.failed.append(f"{time.strftime('%H:%M:%S')} {loop.__name__}: {type(error).__name__} {error}")
                await asyncio.sleep(self.think_s)

    # The kinds of clients

    async def keep_asking(self, chance: random.Random) -> None:
        """Ask again and again on one connection, until the entry says that it closes it."""
        reader, writer = await self.connect()
        try:
            goes_on = True
            while goes_on and not self.over.is_set():
                try:
                    goes_on = await self.ask(reader, writer, chance.choice(("/version", "/", "/health")))
                except (ConnectionError, EOFError):
                    if not self.forgiving:
                        raise
                    break
                await asyncio.sleep(chance.uniform(0.5, 1.5) * self.think_s)
        finally:
            writer.close()

    async def ask_anew(self, chance: random.Random) -> None:
        """Ask once, on a new connection."""
        reader, writer = await self.connect()
        try:
            await self.ask(reader, writer, "/version", close=True)
        finally:
            writer.close()
        await asyncio.sleep(chance.uniform(1, 3) * self.think_s)

    async def keep_uploading(self, chance: random.Random) -> None:
        """Send 10 MB over some seconds, so that switches happen meanwhile, and have the digest of it answered."""
        body = chance.randbytes(CHUNK) * (self.upload_bytes // CHUNK)
        pause = self.upload_s / (len(body) // CHUNK)
        began = time.monotonic()
        reader, writer = await self.connect()
        try:
            writer.write(self.head("POST", "/upload", f"Content-Length: {len(body)}\r\nConnection: close\r\n"))
            for start in range(0, len(body), CHUNK):
                writer.write(body[start : start + CHUNK])
                await writer.drain()
                await asyncio.sleep(pause)
            status, _, text = await asyncio.wait_for(self.reply(reader), self.timeout_s)
        finally:
            writer.close()
        self.requests += 1
        if status != 201 or hashlib.sha256(body).hexdigest().encode() not in text:
            raise ValueError(f"an upload was answered {status} {text[:120]!r}")
        self.sent += 1
        self.in_flight.append((began, time.monotonic()))

    async def wait_long(self, _chance: random.Random) -> None:
        """Ask for what takes long to be answered."""
        reader, writer = await self.connect()
        try:
            writer.write(self.head("GET", f"/slow?s={self.slow_s:g}", "Connection: close\r\n"))
            status, _, text = await asyncio.wait_for(self.reply(reader), self.slow_s + self.timeout_s)
        finally:
            writer.close()
        self.requests += 1
        if status != 200:
            raise ValueError(f"what takes {self.slow_s:g} s was answered {status} {text[:120]!r}")
        self.answered_late += 1

    async def keep_talking(self, chance: random.Random) -> None:
        """Open a websocket and talk on it for a while, or until the application goes away, and says so as it should."""
        async with aiohttp.ClientSession() as session:
            where = f"wss://127.0.0.1:{self.site.port}/socket"
            opening = session.ws_connect(
                where, ssl=self.tls, server_hostname=self.site.domain, headers={"Host": self.site.domain}
            )
            async with opening as socket:
                until = time.monotonic() + chance.uniform(0.2, 1) * self.talk_s
                while not self.over.is_set() and time.monotonic() < until:
                    await socket.send_str("still there?")
                    said = await socket.receive(self.timeout_s)
                    if said.type == aiohttp.WSMsgType.CLOSE and said.data == GOING_AWAY:
                        self.went_away += 1
                        return
                    if said.type != aiohttp.WSMsgType.TEXT:
                        raise ValueError(f"a websocket ended with {said.type.name} {said.data!r}")
                    self.talked += 1
                    self.heard[said.data.partition(" ")[0]] = time.monotonic()
                    await asyncio.sleep(0.5)

    # HTTP

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.connections += 1
        opening = asyncio.open_connection("127.0.0.1", self.site.port, ssl=self.tls, server_hostname=self.site.domain)
        return await asyncio.wait_for(opening, self.timeout_s)

    def head(self, method: str, path: str, more: str = "") -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: {self.site.domain}\r\nUser-Agent: load\r\n{more}\r\n".encode()

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, *, close: bool = False
    ) -> bool:
        """Ask once; return whether the connection may be used again. Raises for anything but a whole 200."""
        began = time.monotonic()
        writer.write(self.head("GET", path, "Connection: close\r\n" if close else ""))
        status, headers, body = await asyncio.wait_for(self.reply(reader), self.timeout_s)
        self.requests += 1
        self.took.append(time.monotonic() - began)
        if status != 200:
            raise ValueError(f"{path} was answered {status} {body[:120]!r}")
        release = headers.get("x-release", "")
        if self.last and release != self.last:
            self.switches.append(time.monotonic())
        self.last = release
        return headers.get("connection", "").lower() != "close"

    @staticmethod
    async def reply(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
        """Read one answer to its last byte."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body

    # Figures

    def straddled(self) -> int:
        """How many uploads were under way while clients were moved."""
        return sum(any(began < at < ended for at in self.switches) for began, ended in self.in_flight)

    def think(self, requests_s: float) -> None:
        """Have clients pause so that they ask for so many small answers a second, where those come at once."""
        self.think_s = (self.kept + self.fresh / 2) / requests_s

    def p95_ms(self) -> float:
        """The time within which 95 % of the requests were answered."""
        return round(sorted(self.took)[int(len(self.took) * 0.95)] * 1000, 1)


def there_and_back(site: Site, turns: Iterable[int]) -> tuple[list[float], list[float]]:
    """Deploy a good version and go back from it in each turn; return how many seconds each way took, turn by turn."""
    deploys, rollbacks = [], []
    for number in turns:
        answer = site.deploy(site.repository.commit(good(f"under load, {number}")))
        assert answer.code == 0, str(answer)
        deploys.append(answer.said["duration_s"])
        back = site.rollback()
        assert back.code == 0, str(back)
        assert back.said["release"] != answer.said["release"]
        rollbacks.append(back.said["duration_s"])
    return deploys, rollbacks


def borne(site: Site, seed: int, seconds: float) -> float:
    """Return how many small answers a second as many clients get that never pause: what site and machine bear."""
    load = Load(site, seed, uploads=0, think_s=0)
    asyncio.run(load.during(lambda: time.sleep(seconds)))
    assert load.failed == []
    return load.requests / seconds
