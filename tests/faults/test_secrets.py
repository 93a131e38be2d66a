"""A secret is in its own files and in the process that needs it, and nowhere else on host or driver.

Requirements: SEC-1.
"""

import hashlib
import json
import secrets
import shlex
import time
from pathlib import Path
from typing import Any

from tests.support.histories import Version, crashes, good
from tests.support.planted import CODE, Watch, holding
from tests.support.site import Site


def test_a_secret_is_in_its_file_and_in_its_process_and_nowhere_else(site: Site) -> None:
    began, wants = time.time(), {"secrets": ["TOKEN"], "secret_env": ["DATABASE_URL"]}
    try:
        values = {"TOKEN": f"planted-{secrets.token_hex(12)}", "DATABASE_URL": f"planted://{secrets.token_hex(12)}"}
        with site.inventory(secrets=values), Watch(site.root / ".ferryman" / "runner", *values.values()) as watch:
            words = list(values.values())
            first = site.deploy(site.repository.commit(good("with secrets", **wants)))
            assert first.code == 0, str(first)
            told = json.loads(site.get("/env")[1])
            talkative = site.repository.commit(good("as talkative as can be"))
            shown = site.playbook("release_deploy", "-e", f"release_ref={talkative}")
            assert shown.code == 0, str(shown)
            failed = site.deploy(site.repository.commit(crashes()))
            assert failed.code == 2, str(failed)
            status = site.run("status", "--app", site.app)
        # It arrived: as files for all, in the environment for those that want it there.
        assert told["secrets"] == {name: hashlib.sha256(value.encode()).hexdigest() for name, value in values.items()}
        assert "DATABASE_URL" in told["names"]
        assert "TOKEN" not in told["names"]
        # Nothing that was printed, and no argument of any process, here or on the host.
        for text in (str(first), str(shown), str(failed), str(status)):
            assert not [word for word in words if word in text]
        assert watch.looked > 20
        assert watch.found == []
        # No file of the driver's; the one that the values were written into is as it was again.
        assert holding(site.root, words, began) + holding(Path.home() / ".ansible", words, began) == []
        # No file of the host's but the two that systemd reads, which are root's alone; nor the journal.
        # The words go through standard input: sudo writes what it is asked to run into the journal.
        place = f"/etc/ferryman/sites/{site.app}/secrets"
        assert sorted(site.ssh(f"python3 -c {shlex.quote(CODE)}", given=" ".join(words)).splitlines()) == [
            f"{place}/DATABASE_URL",
            f"{place}/TOKEN",
        ]
        assert site.ssh(f"stat -c '%a %U' {place} {place}/*").splitlines() == ["700 root", "600 root", "600 root"]
        lines = (
            "journalctl --no-pager -o export --since=-10min > /run/lines; grep --count -aFf - /run/lines; rm /run/lines"
        )
        assert site.ssh(lines, given="\n".join(words)) == "0"
    finally:
        # The history goes on without them.
        without: dict[str, Any] = {"secrets": [], "secret_env": []}
        answer = site.deploy(site.repository.commit(Version("without secrets", description=without)))
        assert answer.code == 0, str(answer)
