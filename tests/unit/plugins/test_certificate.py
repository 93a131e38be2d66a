"""What role certificate decides: what may be asked for, how it is asked, when it is late, and what went wrong."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_facts as facts
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_obtain as source
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_renewal as renewal
from ansible_collections.ferryman.ops.plugins.module_utils import certificate_settings as settings
from ansible_collections.ferryman.ops.plugins.module_utils.host import program
from ansible_collections.ferryman.ops.plugins.modules import certificate_ensure as ensure

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
DEMO: dict[str, Any] = {"name": "demo", "domains": ["demo.test", "www.demo.test"], "mode": "acme"}
SETTINGS: dict[str, Any] = {
    "directory": LETS_ENCRYPT,
    "email": "",
    "webroot": "/var/lib/ferryman/acme",
    "ca_file": "",
    "address": "127.0.0.1",
    "port": 0,
    "reload": [],
    "warn_days": 14,
    "certificates": [DEMO],
}
REFUSED = """Saving debug log to /var/log/ferryman/certbot/letsencrypt.log
Requesting a certificate for demo.nowhere.example

Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these problems:
  Identifier: demo.nowhere.example
  Type:   dns
  Detail: no such name

Hint: The Certificate Authority failed to download the temporary challenge files.
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTINGS", "PUBLISHED", "HOOKS", "ACME", "VERSIONS", "RECORDS", "LOGS"):
        monkeypatch.setattr(host, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(renewal, "SERVED_SECONDS", 0.3)


def errors(*certificates: dict[str, Any], directory: str = LETS_ENCRYPT, terms_agreed: bool = True) -> list[str]:
    return settings.errors(list(certificates), directory=directory, terms_agreed=terms_agreed)


def test_a_usual_certificate_is_fine() -> None:
    assert errors(DEMO, {"name": "own", "domains": ["*.own.test"], "mode": "selfsigned"}) == []


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        ({**DEMO, "name": "../etc"}, "name must be"),
        ({**DEMO, "domains": []}, "at least one name"),
        ({**DEMO, "domains": ["-x; rm"]}, "is no host name"),
        ({**DEMO, "domains": ["*.demo.test"]}, "can't be proven over HTTP"),
        ({**DEMO, "mode": "other"}, "is none of"),
        ({**DEMO, "mode": "provided"}, "needs certificate and key"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(certificate: dict[str, Any], said: str) -> None:
    assert any(said in error for error in errors(certificate))


def test_nothing_is_asked_of_an_authority_without_agreement_to_its_terms() -> None:
    assert any("terms" in error for error in errors(DEMO, terms_agreed=False))
    assert errors({**DEMO, "mode": "selfsigned"}, terms_agreed=False, directory="") == []


@pytest.mark.parametrize(
    ("start", "end", "at", "late"),
    [
        ("2026-01-01", "2026-04-01", "2026-03-17", False),
        ("2026-01-01", "2026-04-01", "2026-03-19", True),
        ("2026-01-01", "2026-01-07", "2026-01-05", False),
        ("2026-01-01", "2026-01-07", "2026-01-06", True),
        ("2026-01-01", "2026-01-07", "2026-02-01", True),
    ],
)
def test_short_lived_certificates_are_late_later(start: str, end: str, at: str, late: bool) -> None:
    moments = [f"{day}T00:00:00Z" for day in (start, end, at)]
    assert facts.near_expiry(*moments, warn_days=14) is late


def test_the_authoritys_reason_is_told_and_the_noise_is_not() -> None:
    assert source.reason(REFUSED) == "Identifier: demo.nowhere.example; Type: dns; Detail: no such name"
    assert (
        source.reason("Saving debug log to x\nAn unexpected error occurred:\nno route")
        == "An unexpected error occurred:\nno route"
    )


def test_certbot_is_told_what_is_wanted_and_asks_the_authority_when() -> None:
    words = source.words_for("certbot", SETTINGS, DEMO, force=False)
    assert words[:2] == ["certbot", "certonly"]
    assert [words[i + 1] for i, word in enumerate(words) if word == "--domain"] == DEMO["domains"]
    assert "--keep-until-expiring" in words
    assert "--register-unsafely-without-email" in words
    assert "--no-directory-hooks" in words
    assert "--force-renewal" in source.words_for("certbot", SETTINGS, DEMO, force=True)


def test_a_certificate_of_another_authority_is_replaced_though_it_is_not_due() -> None:
    path = Path(host.ACME) / "renewal" / "demo.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[renewalparams]\nserver = https://acme-staging.example/directory\n")
    assert "--force-renewal" in source.words_for("certbot", SETTINGS, DEMO, force=False)
    path.write_text(f"[renewalparams]\nserver = {LETS_ENCRYPT}\n")
    assert "--force-renewal" not in source.words_for("certbot", SETTINGS, DEMO, force=False)


def own(**changes: Any) -> dict[str, Any]:
    certificate = {"name": "own", "domains": ["own.test"], "mode": "selfsigned", **changes}
    return {**SETTINGS, "certificates": [certificate]}


def test_a_certificate_of_our_own_is_made_once_and_again_for_other_names() -> None:
    (first,) = renewal.ensure(own())
    assert (first["last_attempt"]["result"], first["names"], first["served"]["state"]) == (
        "renewed",
        ["own.test"],
        "unchecked",
    )
    (second,) = renewal.ensure(own())
    assert (second["last_attempt"]["result"], second["fingerprint"]) == ("not due", first["fingerprint"])
    assert second["last_renewal"] == first["last_renewal"]
    (third,) = renewal.ensure(own(domains=["own.test", "www.own.test"]))
    assert third["fingerprint"] != first["fingerprint"]
    assert [json.loads(json.dumps(record))["name"] for record in host.records()] == ["own"]


def test_a_certificate_that_clients_are_not_served_is_a_failure() -> None:
    (record,) = renewal.ensure({**own(), "port": 1})
    assert record["served"]["state"] == "unreachable"
    assert record["last_attempt"]["result"] == "failed"


def test_a_failing_hook_is_told() -> None:
    hook = Path(host.HOOKS) / "server"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho no; exit 3\n")
    hook.chmod(0o755)
    assert renewal.take_up({"reload": ["/bin/true"]}) == f"{hook}: no"
    (record,) = renewal.ensure(own())
    assert record["last_attempt"]["result"] == "failed"  # nobody looks, so the hook's word is all there is


def test_a_program_that_is_not_there_is_a_failure_and_no_crash() -> None:
    assert host.run(["/nowhere/certbot", "--version"]).returncode == 127


def test_a_provided_certificate_that_is_gone_is_a_failure() -> None:
    (record,) = renewal.ensure({**SETTINGS, "certificates": [{**DEMO, "mode": "provided"}]})
    assert record["last_attempt"]["result"] == "failed"
    assert record["served"]["state"] == "none"
    assert record["near_expiry"]


def test_the_program_runs_by_itself_with_the_hosts_own_python(tmp_path: Path) -> None:
    for path, text, _ in program.library([program, facts, host, source, renewal]):
        host.write_file(f"{tmp_path}{path}", text, 0o644)
    launcher = tmp_path / "certificate"
    launcher.write_text(program.launcher(renewal).replace(program.LIBRARY, f"{tmp_path}{program.LIBRARY}"))
    done = subprocess.run(["/usr/bin/python3", launcher, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "renew" in done.stdout


@pytest.mark.parametrize(("unread", "acts"), [("no", []), ("yes", ["daemon-reload", "enable", "restart"])])
def test_a_timer_that_an_earlier_run_wrote_and_did_not_tell_of_is_told_of(
    unread: str, acts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        if words[1] not in ("is-active", "is-enabled", "show"):
            done.append(words[1])
        return subprocess.CompletedProcess(words, 0, f"NeedDaemonReload=no\n\nNeedDaemonReload={unread}\n")

    monkeypatch.setattr(host, "run", run)
    assert ensure.schedule(changed=False, pretend=True) is bool(acts)
    assert done == []
    assert ensure.schedule(changed=False, pretend=False) is bool(acts)
    assert done == acts
