"""Have a certificate made: by an ACME authority through certbot, or by the host itself."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts as facts
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from ansible_collections.ferryman.ops.plugins.module_utils.host.program import tail


def certbot() -> str:
    """Return the path of certbot, building its environment if this Python has none yet."""
    try:
        return program.environment(host.CERTBOT, host.REQUIREMENTS, "certbot")
    except program.NotInstalled as error:
        raise host.Problem(str(error)) from None


def reason(output: str) -> str:
    """Return why the authority refused, out of what certbot printed."""
    found = re.findall(r"^\s*(?:Domain|Identifier|Type|Detail):.*$", output, re.MULTILINE)
    if found:
        return "; ".join(" ".join(line.split()) for line in found)
    noise = re.compile(r"^(Saving debug log|Ask for help|- - -|Account registered|Requesting a certificate)")
    return tail("\n".join(line for line in output.splitlines() if not noise.match(line)), 6)


def words_for(certbot_path: str, settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> list[str]:
    """Return certbot's command line; `certonly` for renewals too, since it also sees changed names."""
    name = certificate["name"]
    words = [
        certbot_path,
        "certonly",
        "--non-interactive",
        "--agree-tos",
        "--webroot",
        "--webroot-path",
        settings["webroot"],
    ]
    words += [
        "--config-dir",
        host.ACME,
        "--work-dir",
        host.WORK,
        "--logs-dir",
        host.LOGS,
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
        with open(f"{host.ACME}/renewal/{name}.conf", encoding="utf-8") as file:
            found = re.search(r"^server\s*=\s*(\S+)", file.read(), re.MULTILINE)
            return found.group(1) if found else ""
    except FileNotFoundError:
        return ""


def _forgotten(output: str) -> bool:
    """Say whether the authority does not know our account; the type of an error is in certbot's log alone."""
    with contextlib.suppress(OSError), open(f"{host.LOGS}/letsencrypt.log", encoding="utf-8", errors="replace") as file:
        output += file.read()
    return "urn:ietf:params:acme:error:accountDoesNotExist" in output


def obtain_acme(settings: dict[str, Any], certificate: dict[str, Any], *, force: bool) -> None:
    """Have a certificate that is not due; raise host.Problem with the authority's own reason."""
    environment = {**os.environ, **({"REQUESTS_CA_BUNDLE": settings["ca_file"]} if settings["ca_file"] else {})}
    for path in (host.ACME, host.LOGS, host.WORK):
        os.makedirs(path, mode=0o700, exist_ok=True)
    challenges = os.path.join(settings["webroot"], ".well-known/acme-challenge")
    os.makedirs(challenges, mode=0o755, exist_ok=True)
    words = words_for(certbot(), settings, certificate, force=force)
    done = host.run(words, env=environment)
    if done.returncode and _forgotten(done.stdout):
        # The authority has forgotten us (a test server after a restart): a new account takes over.
        shutil.move(f"{host.ACME}/accounts", f"{host.ACME}/accounts.forgotten-{host.now()}")
        done = host.run(words, env=environment)
    if done.returncode:
        raise host.Problem(f"{reason(done.stdout)} (all of it: {host.LOGS}/letsencrypt.log)")
    host.publish(certificate["name"], f"{host.ACME}/live/{certificate['name']}")


def obtain_selfsigned(certificate: dict[str, Any], *, force: bool) -> None:
    name, found = certificate["name"], facts.read(f"{host.PUBLISHED}/{certificate['name']}/fullchain.pem")
    fits = found and found["names"] == sorted(certificate["domains"])
    if fits and not force and not facts.near_expiry(found["not_before"], found["not_after"], host.now(), warn_days=30):
        return
    path = os.path.join(host.VERSIONS, name, f"{host.now()}-{os.urandom(3).hex()}")
    os.makedirs(path, mode=0o700)
    names = ",".join(f"DNS:{domain}" for domain in certificate["domains"])
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    words += [
        "-addext",
        "keyUsage=critical,digitalSignature,keyCertSign",
    ]  # clients that keep to RFC 5280 (4.2.1.3) want it
    # A common name has at most 64 characters, and nobody reads it.
    subject = ["-subj", f"/CN={name[:64]}", "-addext", f"subjectAltName={names}"]
    done = host.run(
        [*words, "-nodes", "-days", "365", *subject, "-keyout", f"{path}/privkey.pem", "-out", f"{path}/fullchain.pem"]
    )
    if done.returncode:
        raise host.Problem(f"openssl could not make it: {tail(done.stdout)}")
    host.publish(name, path)


def obtain_provided(certificate: dict[str, Any]) -> None:
    path = os.path.join(host.PUBLISHED, certificate["name"])
    if not os.path.exists(f"{path}/fullchain.pem"):
        raise host.Problem("it is to be provided, and is not there: run the role again")
