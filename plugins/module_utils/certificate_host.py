#!/usr/bin/python3
"""Obtain, renew and verify this host's certificates; `renew [--name NAME] [--force]` from the command line.

Standard library of Python 3.9 only: the modules use it, and it lies on the host as a program that a timer runs.
A certificate is good when it is the one that clients are served. certbot's exit code says less: with a failing hook it
prints "all renewals succeeded" and ends with 0.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import glob
import hashlib
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

SETTINGS = "/etc/ferryman/certificate"  # <owner>.json, <owner>-ca.pem
PUBLISHED = "/etc/ferryman/certificates"  # <name>/{fullchain,privkey}.pem: what servers are pointed at
HOOKS = "/etc/ferryman/certificates.d"  # programs that make servers take up what has changed
ACME = "/etc/ferryman/acme"  # certbot's own files, apart from those of a certbot that may be there already
VERSIONS = "/var/lib/ferryman/certificate-versions"
RECORDS = "/var/lib/ferryman/certificates"
CERTBOT = "/usr/local/lib/ferryman/certbot"
REQUIREMENTS = f"{CERTBOT}/requirements.txt"
LOGS = "/var/log/ferryman/certbot"
LOCK = "/run/ferryman-certificate.lock"
SERVED_SECONDS = 20.0


class Problem(Exception):
    """What is wrong, and what to do about it, in one text for people."""


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let the timer and a provisioning run not ask for the same certificate at once."""
    with open(LOCK, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(words: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **more,
        )
    except OSError as error:  # a script whose interpreter is gone, too
        return subprocess.CompletedProcess(words, 127, f"{words[0]}: {error.strerror}")


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_file(path: str, text: str, mode: int, *, pretend: bool = False) -> bool:
    """Bring a small file to its text and mode by a rename; return whether it was different."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        if file.read() == text and os.stat(path).st_mode & 0o7777 == mode:
            return False
    if pretend:
        return True
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), mode)
        out.write(text)
    os.replace(beside, path)
    return True


def publish(name: str, directory: str) -> None:
    """Point the name at a directory with fullchain.pem and privkey.pem: both change in one rename."""
    os.makedirs(PUBLISHED, mode=0o755, exist_ok=True)
    link = os.path.join(PUBLISHED, name)
    before = os.readlink(link) if os.path.islink(link) else ""
    if before == directory:
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{link}.new")
    os.symlink(directory, f"{link}.new")
    os.replace(f"{link}.new", link)
    for path in glob.glob(f"{VERSIONS}/{name}/*"):
        if path not in (directory, before):  # the one before may still be served until the reload
            shutil.rmtree(path)


# --- what a certificate says ---


def fingerprint(path: str) -> str:
    """Return the SHA-256 of the first certificate in a file; empty if there is none to read."""
    try:
        with open(path, encoding="ascii") as file:
            found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read(), re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found.group())).hexdigest() if found else ""
    except (OSError, ValueError):
        return ""


def facts(path: str) -> dict[str, Any]:
    """Return {names, issuer, serial, not_before, not_after} of a certificate's file; empty if there is none."""
    words = ["openssl", "x509", "-in", path, "-noout", "-issuer", "-serial", "-dates", "-ext", "subjectAltName"]
    done = run([*words, "-nameopt", "RFC2253"])
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


def near_expiry(not_before: str, not_after: str, at: str, *, warn_days: int) -> bool:
    """Say whether a certificate should have been renewed by now.

    Certificates of six days are near their end when a quarter is left; of ninety, `warn_days` before it.
    """
    start, end, moment = (
        datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ") for text in (not_before, not_after, at)
    )
    return end - moment < min(datetime.timedelta(days=warn_days), (end - start) / 4)


# --- certbot, in an environment of its own ---


def certbot() -> str:
    """Return the path of certbot, building its environment if this Python has none yet.

    The environment is named after Python's version and the lock: after an upgrade of the system's Python the next
    run, by timer or by hand, builds another one instead of failing in the old.
    """
    with open(REQUIREMENTS, "rb") as file:
        key = f"{sys.version_info[0]}.{sys.version_info[1]}-{hashlib.sha256(file.read()).hexdigest()[:12]}"
    path = os.path.join(CERTBOT, key)
    program, complete = f"{path}/bin/certbot", f"{path}/complete"
    if os.path.exists(complete) and run([program, "--version"]).returncode == 0:
        return program
    shutil.rmtree(path, ignore_errors=True)
    pip = [f"{path}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    for words in (
        ["/usr/bin/python3", "-m", "venv", path],
        [*pip, "--require-hashes", "--requirement", REQUIREMENTS],
        [program, "--version"],
    ):
        done = run(words)
        if done.returncode:
            raise Problem(f"certbot could not be installed ({' '.join(words[:4])} ...):\n{_tail(done.stdout)}")
    with open(complete, "w", encoding="ascii"):
        pass
    for other in glob.glob(f"{CERTBOT}/[0-9]*"):
        if other != path:
            shutil.rmtree(other)
    return program


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def reason(output: str) -> str:
    """Return why the authority refused, out of what certbot printed."""
    found = re.findall(r"^\s*(?:Domain|Identifier|Type|Detail):.*$", output, re.MULTILINE)
    if found:
        return "; ".join(" ".join(line.split()) for line in found)
    noise = re.compile(r"^(Saving debug log|Ask for help|- - -|Account registered|Requesting a certificate)")
    return _tail("\n".join(line for line in output.splitlines() if not noise.match(line)), 6)


def words_for(program: str, settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> list[str]:
    """Return certbot's command line; `certonly` for renewals too, since it also sees changed names."""
    name = certificate["name"]
    words = [
        program,
        "certonly",
        "--non-interactive",
        "--agree-tos",
        "--webroot",
        "--webroot-path",
        settings["webroot"],
    ]
    words += [
        "--config-dir",
        ACME,
        "--work-dir",
        "/var/lib/ferryman/certbot",
        "--logs-dir",
        LOGS,
        "--no-directory-hooks",
    ]
    words += ["--server", settings["directory"], "--cert-name", name, "--renew-with-new-domains"]
    words += (
        ["--email", settings["email"], "--no-eff-email"] if settings["email"] else ["--register-unsafely-without-email"]
    )
    for domain in certificate["domains"]:
        words += ["--domain", domain]
    # Issued by another authority (a test one, say): not due, and yet not the one that is wanted.
    other = _issued_by(name) not in ("", settings["directory"])
    return [*words, "--force-renewal" if force or other else "--keep-until-expiring"]


def _issued_by(name: str) -> str:
    try:
        with open(f"{ACME}/renewal/{name}.conf", encoding="utf-8") as file:
            found = re.search(r"^server\s*=\s*(\S+)", file.read(), re.MULTILINE)
            return found.group(1) if found else ""
    except FileNotFoundError:
        return ""


def _forgotten(output: str) -> bool:
    """Say whether the authority does not know our account; the type of an error is in certbot's log alone."""
    with contextlib.suppress(OSError), open(f"{LOGS}/letsencrypt.log", encoding="utf-8", errors="replace") as file:
        output += file.read()
    return "urn:ietf:params:acme:error:accountDoesNotExist" in output


def obtain_acme(settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> None:
    """Have a certificate that is not due; raise Problem with the authority's own reason."""
    environment = {**os.environ, **({"REQUESTS_CA_BUNDLE": settings["ca_file"]} if settings["ca_file"] else {})}
    for path in (ACME, LOGS, "/var/lib/ferryman/certbot"):
        os.makedirs(path, mode=0o700, exist_ok=True)
    challenges = os.path.join(settings["webroot"], ".well-known/acme-challenge")
    os.makedirs(challenges, mode=0o755, exist_ok=True)
    words = words_for(certbot(), settings, certificate, force=force)
    done = run(words, env=environment)
    if done.returncode and _forgotten(done.stdout):
        # The authority has forgotten us (a test server after a restart): a new account takes over.
        shutil.move(f"{ACME}/accounts", f"{ACME}/accounts.forgotten-{now()}")
        done = run(words, env=environment)
    if done.returncode:
        raise Problem(f"{reason(done.stdout)} (all of it: {LOGS}/letsencrypt.log)")
    publish(certificate["name"], f"{ACME}/live/{certificate['name']}")


def obtain_selfsigned(certificate: dict[str, Any], *, force: bool) -> None:
    name, found = certificate["name"], facts(f"{PUBLISHED}/{certificate['name']}/fullchain.pem")
    fits = found and found["names"] == sorted(certificate["domains"])
    if fits and not force and not near_expiry(found["not_before"], found["not_after"], now(), warn_days=30):
        return
    path = os.path.join(VERSIONS, name, f"{now()}-{os.urandom(3).hex()}")
    os.makedirs(path, mode=0o700)
    names = ",".join(f"DNS:{domain}" for domain in certificate["domains"])
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    # A common name has at most 64 characters, and nobody reads it.
    subject = ["-subj", f"/CN={name[:64]}", "-addext", f"subjectAltName={names}"]
    done = run(
        [*words, "-nodes", "-days", "365", *subject, "-keyout", f"{path}/privkey.pem", "-out", f"{path}/fullchain.pem"]
    )
    if done.returncode:
        raise Problem(f"openssl could not make it: {_tail(done.stdout)}")
    publish(name, path)


def obtain_provided(certificate: dict[str, Any]) -> None:
    path = os.path.join(PUBLISHED, certificate["name"])
    if not os.path.exists(f"{path}/fullchain.pem"):
        raise Problem("it is to be provided, and is not there: run the role again")


# --- what clients are served ---


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
    wanted = fingerprint(f"{PUBLISHED}/{certificate['name']}/fullchain.pem")
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


def take_up(settings: dict[str, Any]) -> str:
    """Have the servers take up what has changed; return what went wrong. What is served decides, not this."""
    programs = [[path] for path in sorted(glob.glob(f"{HOOKS}/*")) if os.access(path, os.X_OK)]
    wrong = []
    for words in [*programs, *([settings["reload"]] if settings["reload"] else [])]:
        done = run(words)
        if done.returncode:
            wrong.append(f"{' '.join(words)}: {_tail(done.stdout, 4)}")
    return "; ".join(wrong)


# --- all of it ---


def record_of(name: str) -> dict[str, Any]:
    try:
        with open(os.path.join(RECORDS, f"{name}.json"), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except FileNotFoundError:
        return {}


def records() -> list[dict[str, Any]]:
    return [record_of(os.path.basename(path)[: -len(".json")]) for path in sorted(glob.glob(f"{RECORDS}/*.json"))]


def obtain(settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> dict[str, Any]:
    """Return {name, before, after, error}; never raises, since the others still want their turn."""
    path = f"{PUBLISHED}/{certificate['name']}/fullchain.pem"
    outcome = {"name": certificate["name"], "before": fingerprint(path), "error": ""}
    try:
        if certificate["mode"] == "acme":
            obtain_acme(settings, certificate, force=force)
        elif certificate["mode"] == "selfsigned":
            obtain_selfsigned(certificate, force=force)
        else:
            obtain_provided(certificate)
    except (Problem, OSError) as error:
        outcome["error"] = str(error)
    outcome["after"] = fingerprint(path)
    return outcome


def ensure(settings: dict[str, Any], *, only: str = "", force: bool = False) -> list[dict[str, Any]]:
    """Obtain what is due, have it taken up, look at what is served, and write it all down; return the records."""
    certificates = [one for one in settings["certificates"] if only in ("", one["name"])]
    outcomes = {one["name"]: obtain(settings, one, force=force) for one in certificates}
    there = [one for one in certificates if outcomes[one["name"]]["after"]]
    trouble = ""
    if any(look(settings, one)["state"] in ("other", "unreachable") for one in there):
        trouble = take_up(settings)
        deadline = time.monotonic() + SERVED_SECONDS
        while any(look(settings, one)["state"] != "same" for one in there) and time.monotonic() < deadline:
            if trouble:  # nobody is on the way to serve it
                break
            time.sleep(0.2)
    elif any(outcomes[one["name"]]["before"] != outcomes[one["name"]]["after"] for one in there):
        trouble = take_up(settings)  # unchecked, so at least told
    return [write_record(settings, one, outcomes[one["name"]], trouble) for one in certificates]


def write_record(
    settings: dict[str, Any], certificate: dict[str, Any], outcome: dict[str, Any], trouble: str
) -> dict[str, Any]:
    name, at = certificate["name"], now()
    old = record_of(name)
    found = facts(f"{PUBLISHED}/{name}/fullchain.pem")
    seen = {**(look(settings, certificate) if found else {"state": "none", "detail": ""}), "at": at}
    changed = outcome["before"] != outcome["after"]
    error = outcome["error"]
    if not error and (trouble or seen["state"] not in ("same", "unchecked")):
        error = f"the certificate is not what clients are served: {'; '.join(filter(None, [seen['detail'], trouble]))}"
    record = {
        "format": 1,
        "name": name,
        "mode": certificate["mode"],
        "directory": settings["directory"] if certificate["mode"] == "acme" else "",
        "domains": certificate["domains"],
        **found,
        "fingerprint": outcome["after"],
        "near_expiry": not found
        or near_expiry(found["not_before"], found["not_after"], at, warn_days=settings["warn_days"]),
        "last_attempt": {
            "at": at,
            "result": "failed" if error else "renewed" if changed else "not due",
            "reason": error,
        },
        "last_renewal": at if changed else old.get("last_renewal", ""),
        "served": seen,
    }
    write_file(os.path.join(RECORDS, f"{name}.json"), json.dumps(record, indent=1) + "\n", 0o644)
    return {**record, "changed": changed}


def all_settings() -> list[dict[str, Any]]:
    found = []
    for path in sorted(glob.glob(f"{SETTINGS}/*.json")):
        with open(path, encoding="utf-8") as file:
            found.append(json.load(file))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Renew this host's certificates and look at what is served.")
    parser.add_argument("act", choices=["renew"])
    parser.add_argument("--name", default="", help="only this certificate")
    parser.add_argument("--force", action="store_true", help="also if it is not due")
    given = parser.parse_args()
    done = []
    with locked():
        for settings in all_settings():
            done += ensure(settings, only=given.name, force=given.force)
    if given.name and not done:
        print(f"no certificate {given.name!r} is configured on this host", file=sys.stderr)
        return 1
    for record in done:
        attempt = record["last_attempt"]
        until = record.get("not_after", "never")
        print(f"{record['name']}: {attempt['result']}, until {until} {attempt['reason']}".strip())
    return 1 if any(record["last_attempt"]["result"] == "failed" for record in done) else 0


if __name__ == "__main__":
    sys.exit(main())
