#!/usr/bin/python3
"""Take up changed certificates and reload nginx, judged by what it serves afterwards.

Standard library of Python 3.9 only: the modules use it, and it lies on the host as a program, so that a renewal
needs nobody from outside. A site's configuration names a link below TLS; it leads to the site's certificate as soon
as that is usable, until then to a placeholder, so that nginx starts and can answer the ACME challenge.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from typing import Any, Iterator

NGINX = "/usr/sbin/nginx"
LIVE = "/etc/nginx/ferryman"  # a link: a configuration is either wholly in place or not at all
TLS = "/etc/nginx/ferryman-tls"
RECORD = "sites.json"
LOCK = "/run/ferryman-nginx.lock"
RELOAD_SECONDS = 15.0


class Problem(Exception):
    """What is wrong, and what to do about it, in one text for people."""


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let a renewal and a provisioning run not relink and reload at once."""
    with open(LOCK, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def refusal(configuration: str) -> str:
    """Return nginx's complaints about a configuration; empty if it is sound."""
    done = run(NGINX, "-t", "-q", "-c", configuration)
    return "" if done.returncode == 0 else done.stderr.strip() or f"nginx -t ended with {done.returncode}"


def sites(directory: str = LIVE) -> dict[str, dict[str, Any]]:
    """Return {site: {owner, domains, certificate, key}} of a generation; empty where there is none."""
    try:
        with open(os.path.join(directory, RECORD), encoding="utf-8") as file:
            found: dict[str, dict[str, Any]] = json.load(file)["sites"]
            return found
    except FileNotFoundError:
        return {}


def generation(directory: str = LIVE) -> str:
    return os.path.basename(os.path.realpath(directory)) if os.path.islink(directory) else ""


# --- certificates ---


def fingerprint(path: str) -> str:
    """Return the SHA-256 of the first certificate in a file; empty if there is none to read."""
    try:
        with open(path, encoding="ascii") as file:
            found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(), re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group())).hexdigest() if found else ""
    except (OSError, ValueError):
        return ""


def usable(certificate: str, key: str) -> bool:
    """Say whether nginx could serve these: both readable, and the key that of the certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        return True
    except (OSError, ValueError):
        return False


def _placeholder() -> str:
    path = os.path.join(TLS, ".placeholder")
    if not usable(f"{path}/certificate.pem", f"{path}/key.pem"):
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path, mode=0o700)
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        subject = ["-subj", "/CN=placeholder.invalid", "-addext", "subjectAltName=DNS:placeholder.invalid"]
        done = run(
            *words, "-nodes", "-days", "3650", *subject, "-keyout", f"{path}/key.pem", "-out", f"{path}/certificate.pem"
        )
        if done.returncode:
            raise Problem(f"no placeholder certificate could be made: {done.stderr.strip()}")
    return path


def _relink(link: str, target: str) -> None:
    beside = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    os.symlink(target, beside)
    os.replace(beside, link)


def nameservers(text: str) -> list[str]:
    """Return the resolvers that a resolv.conf names, as nginx writes them, without those of one link alone."""
    found = re.findall(r"^\s*nameserver\s+([0-9A-Fa-f.:]+)\s*$", text, re.MULTILINE)
    return [f"[{address}]" if ":" in address else address for address in found]


def stapling(certificate: str, resolvers: str = "/etc/resolv.conf") -> str:
    """Return what has answers of OCSP stapled; empty where the certificate names no responder: nginx would complain."""
    if not run("openssl", "x509", "-in", certificate, "-noout", "-ocsp_uri").stdout.strip():
        return ""
    found: list[str] = []
    with contextlib.suppress(OSError), open(resolvers, encoding="utf-8") as file:
        found = nameservers(file.read())
    return "ssl_stapling on;\n" + (f"resolver {' '.join(found)} valid=300s;\n" if found else "")


def _staple(directory: str, certificate: str) -> None:
    """Leave beside a certificate's links what its site includes."""
    path, text = os.path.join(directory, "ocsp.conf"), stapling(certificate)
    if text:
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def link_certificates(wanted: dict[str, dict[str, Any]]) -> list[str]:
    """Point every site's link at its certificate, or at the placeholder; return the sites whose link changed."""
    os.makedirs(TLS, mode=0o755, exist_ok=True)
    changed = []
    for name, site in wanted.items():
        target = ".placeholder"
        if usable(site["certificate"], site["key"]):
            digest = hashlib.sha256(f"{site['certificate']}\n{site['key']}".encode()).hexdigest()[:12]
            target = f".{name}-{digest}"
            os.makedirs(os.path.join(TLS, target), mode=0o755, exist_ok=True)
            for file in ("certificate", "key"):
                _relink(os.path.join(TLS, target, f"{file}.pem"), site[file])
            _staple(os.path.join(TLS, target), site["certificate"])
        else:
            _placeholder()
        link = os.path.join(TLS, name)
        if not os.path.islink(link) or os.readlink(link) != target:
            _relink(link, target)
            changed.append(name)
    return changed


def forget_certificates(wanted: dict[str, dict[str, Any]]) -> None:
    """Remove links of sites that are gone, after nginx has let go of them."""
    for path in glob.glob(os.path.join(TLS, "*")):
        if os.path.basename(path) not in wanted:
            os.unlink(path)
    linked = {os.path.basename(os.path.realpath(path)) for path in glob.glob(os.path.join(TLS, "*"))}
    for path in glob.glob(os.path.join(TLS, ".*-*")):
        if os.path.basename(path) not in linked:
            shutil.rmtree(path)


# --- what is served ---


def get(name: str, path: str, *, address: str = "127.0.0.1", port: int = 443) -> tuple[int, bytes, str]:
    """Return status, body and the certificate's fingerprint, as a client of `name` sees them on this host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which certificate is served is what is asked; a placeholder is an answer
    host = name.replace("*.", "ferryman-check.", 1)
    plain = socket.create_connection((address, port), timeout=3)
    with plain, context.wrap_socket(plain, server_hostname=host) as channel:
        der = channel.getpeercert(binary_form=True) or b""
        channel.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
        answer = http.client.HTTPResponse(channel)
        answer.begin()
        return answer.status, answer.read(), hashlib.sha256(der).hexdigest()


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def unserved(wanted: dict[str, dict[str, Any]], expected: str) -> list[str]:
    """Return what is not yet served as it lies on the disk, a sentence each."""
    wrong = []
    for name, site in wanted.items():
        certificate = fingerprint(os.path.join(TLS, name, "certificate.pem"))
        for domain in site["domains"]:
            try:
                status, body, served = get(domain, "/.well-known/ferryman/health")
            except (OSError, http.client.HTTPException) as error:
                wrong.append(f"{domain} does not answer on port 443: {error}")
                continue
            answer = _object(body) if status == 200 else {}
            if answer.get("site") != name:
                wrong.append(f"another site answers for {domain}: look for its server_name in `nginx -T`")
            elif answer.get("configuration") != expected:
                wrong.append(f"{domain} is still served by an older configuration")
            elif served != certificate:
                wrong.append(f"{domain} is still served with an older certificate")
    return wrong


def workers(title: str = "nginx: worker process") -> set[str]:
    """Return the processes of nginx's workers that take connections; one that is shutting down has another title."""
    try:
        with open("/run/nginx.pid", encoding="ascii") as file:
            master = file.read().strip()
    except OSError:
        return set()
    found = set()
    for path in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            with open(f"{path}/cmdline", "rb") as file_:
                called = file_.read().rstrip(b"\0 ")
            with open(f"{path}/stat", "rb") as file_:
                parent = file_.read().rpartition(b") ")[2].split()[1]
            if called == title.encode() and parent.decode() == master:
                found.add(os.path.basename(path))
    return found


def log_tail(since: int) -> str:
    """Return what nginx's own log says of trouble since a size, at most ten lines."""
    try:
        with open("/var/log/nginx/error.log", encoding="utf-8", errors="replace") as file:
            file.seek(since)
            lines = [line.strip() for line in file if re.search(r"\[(emerg|alert|crit)\]", line)]
    except OSError:
        return ""
    return "\n".join(lines[-10:])


def reload() -> str:
    """Make nginx take up what is in place: start it if it does not run; return "started" or "reloaded".

    Raises Problem when, after RELOAD_SECONDS, clients are still served otherwise.
    """
    wanted = sites()
    log = "/var/log/nginx/error.log"
    size = os.path.getsize(log) if os.path.exists(log) else 0
    before = workers()
    running = run("systemctl", "is-active", "--quiet", "nginx").returncode == 0
    done = run("systemctl", "reload" if running else "start", "nginx")
    if done.returncode:
        act = "reload" if running else "start"
        raise Problem(f"systemctl could not {act} nginx: {done.stderr.strip()}\n{log_tail(size)}".strip())
    deadline = time.monotonic() + RELOAD_SECONDS
    while True:
        wrong = unserved(wanted, generation())
        if not wrong and not workers() - before:
            wrong = ["nginx kept its old worker processes"]
        if not wrong:
            return "reloaded" if running else "started"
        if time.monotonic() > deadline:
            raise Problem("\n".join(["nginx was told to reload, but:", *wrong, log_tail(size)]).strip())
        time.sleep(0.1)


def take_up() -> dict[str, Any]:
    """Relink certificates, test, reload, verify; return {relinked, action}."""
    relinked = link_certificates(sites())
    complaint = refusal("/etc/nginx/nginx.conf")
    if complaint:
        raise Problem(f"nginx was not reloaded, it refuses the configuration:\n{complaint}")
    return {"relinked": relinked, "action": reload()}


def main() -> int:
    try:
        with locked():
            print(json.dumps(take_up()))
    except (Problem, OSError) as error:
        print(f"nginx: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
