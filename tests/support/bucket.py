"""A bucket of one's own: rclone's S3 server over TLS, with a certificate that nobody but the test believes."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from ferryman.sandbox.ports import free_port

PROGRAM = Path(sys.executable).with_name("rclone")
CERTIFICATE = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bucket"]
ACCESS, SECRET = "AKIDOFTHETEST", "of+the/bucket=and~nobody.else"
NAME = "backups"


def certificate(place: Path, host: str) -> str:
    """Make a key and a certificate for a host in a directory; return the certificate."""
    names = f"subjectAltName=DNS:{host},IP:127.0.0.1"
    words = [*CERTIFICATE, "-addext", names, "-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")]
    subprocess.run(words, check=True, capture_output=True)
    return (place / "cert.pem").read_text()


def serve(program: str, place: str, port: int, access: str = ACCESS, secret: str = SECRET) -> list[str]:
    """Return the command that serves what lies below a directory, each directory a bucket."""
    tls = ["--cert", f"{place}/cert.pem", "--key", f"{place}/key.pem"]
    return [program, "serve", "s3", f"{place}/data", "--addr", f":{port}", "--auth-key", f"{access},{secret}", *tls]


class Bucket:
    """A server that is started and stopped; what it holds lies in `data`."""

    def __init__(self, place: Path) -> None:
        self.place, self.data, self.port = place, place / "data", free_port()
        self.data.mkdir(parents=True)
        self.certificate = certificate(place, "localhost")
        self.repository = f"s3:https://localhost:{self.port}/{NAME}/prod"

    @contextmanager
    def served(self, access: str = ACCESS, secret: str = SECRET) -> Iterator[None]:
        """Serve it for a while, to who has this key."""
        words = serve(str(PROGRAM), str(self.place), self.port, access, secret)
        own = {"PATH": os.environ["PATH"], "HOME": str(self.place)}
        with subprocess.Popen(words, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                until = time.monotonic() + 60
                while not self._answers():
                    assert process.poll() is None, "the bucket's server ended"
                    assert time.monotonic() < until, "the bucket's server does not answer"
                    time.sleep(0.05)
                yield
            finally:
                process.terminate()

    def _answers(self) -> bool:
        with suppress(OSError):
            socket.create_connection(("localhost", self.port), 5).close()
            return True
        return False

    def packs(self) -> list[Path]:
        """Return the files in which all data lies, by size, the largest first."""
        found = [path for path in (self.data / NAME / "prod" / "data").rglob("*") if path.is_file()]
        return sorted(found, key=lambda path: (-path.stat().st_size, path.name))

    @contextmanager
    def damaged(self, path: Path, how: str, random: Random) -> Iterator[None]:
        """Have one file of it damaged for a while: flipped, cut or deleted."""
        aside = self.place / "aside"
        shutil.copy2(path, aside)
        whole = path.read_bytes()
        try:
            if how == "deleted":
                path.unlink()
            elif how == "cut":
                path.write_bytes(whole[: len(whole) // 2])
            else:
                at = random.randrange(len(whole))
                path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << random.randrange(8)]) + whole[at + 1 :])
            yield
        finally:
            shutil.copy2(aside, path)
