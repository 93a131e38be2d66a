"""What a certificate says, and which one clients are served."""

from __future__ import annotations

import datetime
import hashlib
import re
import socket
import ssl
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host


def fingerprint(path: str) -> str:
    """Return the SHA-256 of the first certificate in a file; empty if there is none to read."""
    try:
        with open(path, encoding="ascii") as file:
            found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(), re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group())).hexdigest() if found else ""
    except (OSError, ValueError):
        return ""


def read(path: str) -> dict[str, Any]:
    """Return {names, issuer, serial, not_before, not_after} of a certificate's file; empty if there is none."""
    words = ["openssl", "x509", "-in", path, "-noout", "-issuer", "-serial", "-dates", "-ext", "subjectAltName"]
    done = host.run([*words, "-nameopt", "RFC2253"])
    if done.returncode:
        return {}
    found = dict(re.findall(r"^(issuer|serial|notBefore|notAfter)=(.*)$", done.stdout, re.MULTILINE))
    return {
        "names": sorted(re.findall(r"DNS:([^,\s]+)", done.stdout)),
        "issuer": found.get("issuer", ""),
        "serial": found.get("serial", ""),
        "not_before": _time(found["notBefore"]),
        "not_after": _time(found["notAfter"]),
    }


def _time(text: str) -> str:
    return datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(text), datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def seconds_left(not_after: str, at: str) -> float:
    """Return the seconds from `at` to the end of a certificate; less than 0 for one that is over."""
    return (_moment(not_after) - _moment(at)).total_seconds()


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")


def near_expiry(not_before: str, not_after: str, at: str, *, warn_days: int) -> bool:
    """Say whether a certificate should have been renewed by now.

    Certificates of six days are near their end when a quarter is left; of ninety, `warn_days` before it.
    """
    start, end, moment = map(_moment, (not_before, not_after, at))
    return end - moment < min(datetime.timedelta(days=warn_days), (end - start) / 4)


def served(domain: str, address: str, port: int) -> str:
    """Return the fingerprint that a client of `domain` is served; raises OSError where nobody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which one is served is the question, trust is that of its issuer
    plain = socket.create_connection((address, port), timeout=3)
    with plain, context.wrap_socket(plain, server_hostname=domain.replace("*.", "ferryman-check.", 1)) as channel:
        return hashlib.sha256(channel.getpeercert(binary_form=True) or b"").hexdigest()


def look(settings: dict[str, Any], certificate: dict[str, Any]) -> dict[str, str]:
    """Return {state: same|other|unreachable|unchecked, detail} by asking for every name."""
    if not settings["port"]:
        return {"state": "unchecked", "detail": "no port to ask was given"}
    wanted = fingerprint(f"{host.PUBLISHED}/{certificate['name']}/fullchain.pem")
    for domain in certificate["domains"]:
        try:
            found = served(domain, settings["address"], settings["port"])
        except OSError as error:
            return {
                "state": "unreachable",
                "detail": f"{domain} at {settings['address']} port {settings['port']}: {error}",
            }
        if found != wanted:
            return {"state": "other", "detail": f"{domain} is served with {found[:16]}..., not with {wanted[:16]}..."}
    return {"state": "same", "detail": wanted}
