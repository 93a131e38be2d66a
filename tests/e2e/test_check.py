"""`check --hosts` on a real host: what is fit, what is not, and hosts that nobody reaches beside one that answers.

Requirements: ENV-5, REL-1.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.newcomer import DOMAIN, Newcomer

from ferryman.sandbox.ports import free_port

LOCAL = "inventories/local"


@contextmanager
def changed(newcomer: Newcomer, file: str, before: str, after: str) -> Iterator[None]:
    """Change a file of the environment for a while."""
    path = newcomer.root / LOCAL / file
    text = path.read_text()
    assert before in text, f"{file} has no {before!r}"
    path.write_text(text.replace(before, after, 1))
    try:
        yield
    finally:
        path.write_text(text)


def hosts(said: dict[str, Any]) -> dict[str, dict[str, dict[str, str]]]:
    """Return what was found, by host and key."""
    return {host: {each["key"]: each for each in found} for host, found in said["hosts"].items()}


def test_a_host_that_serves_is_fit_in_everything(newcomer: Newcomer) -> None:
    said = newcomer.type("./invoke check --hosts --json").said
    found = hosts(said)["local1"]
    wrong = {key: each for key, each in found.items() if each["state"] != "good"}
    assert not wrong
    assert set(found) >= {"reach", "marker", "clock", "disk", "ports", "versions", "way out", "dns", "max_connections"}
    assert found["dns"]["said"].startswith(f"{DOMAIN} leads here (127.0.0.1")
    assert "443" in found["ports"]["said"]


def test_every_host_is_told_of_with_all_that_is_wrong_also_where_one_is_not_reached(newcomer: Newcomer) -> None:
    lost = f"        local9: {{ansible_host: 127.0.0.1, ansible_port: {free_port()}}}\n"
    marker = "/etc/ferryman/host.json"
    port = newcomer.ssh("grep -o '2[0-9]\\{4\\}' /etc/ferryman/sites/notes/ports.json | tail -1")
    newcomer.ssh(f'cp -a {marker} /root/host.json; sed -i \'s/"local"/"staging"/\' {marker}')
    newcomer.ssh(f"systemd-run --quiet --unit foreign python3 -m http.server {port}")
    try:
        with (
            changed(newcomer, "hosts.yml", "    app:\n      hosts:\n", f"    app:\n      hosts:\n{lost}"),
            changed(newcomer, "group_vars/all/apps.yml", f"[{DOMAIN}]", f"[{DOMAIN}, nowhere.invalid]"),
        ):
            answer = newcomer.type("./invoke check --hosts --json", code=1)
    finally:
        newcomer.ssh(f"systemctl stop foreign; cp -a /root/host.json {marker}")
    found = hosts(answer.said)
    assert {key: each["state"] for key, each in found["local9"].items()} == {"reach": "wrong"}
    seen = found["local1"]
    assert "belongs to environment staging, not to local" in seen["marker"]["said"]
    assert seen["ports"]["state"] == "wrong"
    assert f"port {port}" in seen["ports"]["said"]
    assert "foreign.service" in seen["ports"]["said"]
    assert seen["dns"]["said"] == "nowhere.invalid leads nowhere"
    assert seen["clock"]["state"] == "good"
    assert "local9 cannot be reached" in answer.said["error"]


@pytest.mark.parametrize("words", ["", " --hosts"])
def test_a_mistake_in_a_file_is_told_before_any_host_is_asked(newcomer: Newcomer, words: str) -> None:
    with changed(newcomer, "group_vars/all/release.yml", "release_soak_s", "release_soka_s"):
        answer = newcomer.type(f"./invoke check{words} --json", code=1)
    (problem,) = answer.said["problems"]
    assert (problem["key"], problem["right"]) == ("release_soka_s", "did you mean release_soak_s?")
    assert "hosts" not in answer.said
