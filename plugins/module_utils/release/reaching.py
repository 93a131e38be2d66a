"""How an arbiter that drives a run comes to the other hosts: by a key that it makes for that run, and nobody else has.

It lies in memory (/run) until the unit that drives has it as a credential, and is gone with that.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.host import Failed, Host

AT_ONCE = 8
REACH_S = 20.0
SAFE = ("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR", "ConnectTimeout=10")


def keys_of(host: Host) -> Path:
    """Return where keys of this site's runs lie until their unit has them."""
    return names.DRIVER_KEYS / host.site.name


def key_of(host: Host) -> Path:
    """Return where the key of this run does."""
    return keys_of(host) / host.run_id


def prepare(host: Host, others: Mapping[str, str]) -> dict[str, Any]:
    """Make the key to `others` (addresses by host); return its public half, and by host where this one comes from."""
    if shutil.which("ssh-keygen") is None:
        reason, hint = "it has no ssh to reach the other hosts by", "`apt-get install openssh-client` there"
        raise Failed(reason, hint=f"{hint}; or leave out --detach", refused=True)
    sources = {name: _source(address) for name, address in others.items()}
    key = key_of(host)
    key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key.unlink(missing_ok=True)
    host.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key))
    public = key.with_name(f"{key.name}.pub")
    content = public.read_text(encoding="ascii").strip()
    public.unlink()
    return {"public_key": content, "sources": sources}


@contextmanager
def handed_on(host: Host) -> Iterator[None]:
    """Have the key in no file once the unit that is started here has it, or nobody needs it."""
    try:
        yield
    finally:
        forget(host)


def forget(host: Host) -> None:
    """Remove the keys of this site's runs that are in a file: this run's, and those of runs that never handed over."""
    shutil.rmtree(keys_of(host), ignore_errors=True)


def _source(address: str) -> str:
    """Return from which of its addresses this host comes to another; nothing is sent: the kernel says so."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as asked:
        try:
            asked.connect((address, 22))
        except OSError as error:
            hint = "give that host a `release_address` at which this one reaches it; or leave out --detach"
            raise Failed(f"there is no way to {address}: {error.strerror}", hint=hint, refused=True) from None
        return str(asked.getsockname()[0])


def known(ways: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what ssh knows hosts by; a `way`: address, port, user, host_keys."""
    return "".join(
        f"[{way['address']}]:{way['port']} {key}\n{way['address']} {key}\n"
        for way in ways.values()
        for key in way["host_keys"]
    )


def require(host: Host, request: Mapping[str, Any], ways: Mapping[str, Mapping[str, Any]]) -> None:
    """Fail with all that is not reached by its way, or does not let the key do what it is for."""
    if not ways:
        return
    known_hosts = key_of(host).with_suffix(".known_hosts")
    known_hosts.write_text(known(ways), encoding="ascii")
    asked = {key: request[key] for key in ("site", "environment", "run", "token")}
    text = json.dumps({**asked, "act": "reach"}).encode()
    message = struct.pack("!Q", 0) + struct.pack("!Q", len(text)) + text  # no code, and nothing behind the request
    words = ["ssh", "-i", str(key_of(host)), "-o", f"UserKnownHostsFile={known_hosts}"]
    words += [word for option in SAFE for word in ("-o", option)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(lambda way: _refused([*words, *_to(way)], message), ways.values())
    wrong = [f"{name} ({way['address']}, port {way['port']}): {said}"
             for (name, way), said in zip(ways.items(), told) if said]  # fmt: skip
    if wrong:
        hint = "let this host come to their SSH (firewall_allow, AllowUsers of sshd), or leave out --detach"
        raise Failed("it does not reach all hosts that it is to drive", evidence=wrong, hint=hint, refused=True)


def _to(way: Mapping[str, Any]) -> Sequence[str]:
    return ["-p", str(way["port"]), "-l", str(way["user"]), str(way["address"]), "reach"]


def _refused(words: Sequence[str], message: bytes) -> str:
    """Return why a host did not answer as it should; empty where it did."""
    try:
        done = subprocess.run(words, input=message, capture_output=True, timeout=REACH_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {REACH_S:g} s"
    lines = done.stdout.decode(errors="replace").splitlines()
    answer = next((line[len(names.ANSWER) :] for line in lines if line.startswith(names.ANSWER)), "")
    if answer:
        told = json.loads(answer)
        return "" if told["ok"] else str(told["reason"])
    said = [*lines, *done.stderr.decode(errors="replace").splitlines()]
    return " ".join(said[-2:]) or f"ssh ended with {done.returncode}"
