"""What role logs promises: bounds that are kept, and a service that answers while the disk for its logs is full.

Requirements: LOG-1, LOG-2.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

HERE = "/var/log/nginx/ferryman"
LOG = f"{HERE}/pages.access.json"
RATE_S = 4  # as in converge.yml
ENOUGH = 16 * 2**20 // 10  # a tenth of the small disk
ASK = "curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' --resolve pages.test:443:127.0.0.1 https://pages.test/"


def free(host: Any) -> int:
    return int(host.check_output(f"df --output=avail -B1 {HERE} | tail -1"))


def names(host: Any) -> list[str]:
    return sorted(host.check_output(f"ls {HERE}").split())


def write(host: Any, name: str, megabytes: int, *, days_old: int) -> None:
    host.check_output(f"head -c {megabytes}000000 /dev/zero > {HERE}/{name}; touch -d '-{days_old} days' {HERE}/{name}")


@pytest.fixture(autouse=True)
def _page(host: Any) -> Iterator[None]:
    host.check_output("systemctl stop ferryman-logs.timer; mkdir -p /srv/pages; echo home > /srv/pages/index.html")
    host.check_output(f"rm -f {HERE}/*.[0-9]*")
    yield
    # As often as these tests start and stop it, systemd would hold it back.
    host.check_output("systemctl reset-failed ferryman-logs.timer; systemctl start ferryman-logs.timer")


def test_journald_keeps_its_log_on_the_disk_within_bounds(host: Any) -> None:
    told = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    for line in ("Storage=persistent", "SystemMaxUse=1073741824", "SystemKeepFree=1073741824", "MaxRetentionSec=30day"):
        assert line in told.splitlines()
    host.check_output("logger -t proof on-the-disk && journalctl --sync")
    assert host.check_output("journalctl -D /var/log/journal -o cat -t proof").splitlines()[-1] == "on-the-disk"


def test_a_unit_that_floods_the_log_is_held_back_and_that_is_said(host: Any) -> None:
    unit = f"flood-{time.time():.0f}"
    host.check_output(f"systemd-run --wait --unit={unit} seq 5000; journalctl --sync")
    lines = host.check_output(f"journalctl -o cat -u {unit}").splitlines()
    assert 500 <= len([line for line in lines if line.isdigit()]) < 5000
    time.sleep(RATE_S)
    host.check_output(f"systemd-run --wait --unit={unit} echo again; journalctl --sync")
    assert f"messages from {unit}.service" in host.check_output("journalctl -o cat -n 50 _TRANSPORT=driver")


def test_somebody_looks_every_minute(host: Any) -> None:
    for _ in range(20):  # as often as it may be started by hand
        host.check_output("systemctl start ferryman-logs.service")
    host.check_output("systemctl start ferryman-logs.timer")
    assert host.service("ferryman-logs.timer").is_enabled
    # While it is at work, the next time is not known yet.
    due = "systemctl show -P NextElapseUSecMonotonic ferryman-logs.timer | grep -q '[0-9]'"
    host.check_output(f"timeout 10 sh -c {shlex.quote(f'until {due}; do sleep 0.1; done')}")


def test_where_there_is_room_nothing_goes(host: Any) -> None:
    write(host, "pages.access.json.1", 3, days_old=1)
    write(host, "pages.access.json.2.gz", 3, days_old=2)
    before = names(host)
    host.check_output("systemctl start ferryman-logs.service")
    assert names(host) == before


def test_days_are_kept_also_of_a_site_that_nothing_writes_to_any_more(host: Any) -> None:
    """Nothing is renamed there, so that logrotate does not look."""
    host.check_output(f"touch -d '-20 days' {HERE}/gone.access.json")
    for name, days in (("1", 13), ("2.gz", 15), ("3.gz", 40)):
        write(host, f"gone.access.json.{name}", 1, days_old=days)
    host.check_output("systemctl start ferryman-logs.service")
    try:
        assert [name for name in names(host) if name.startswith("gone")] == ["gone.access.json", "gone.access.json.1"]
        assert f"dropped {HERE}/gone.access.json.2.gz: older than 14 days" in dropped(host)
    finally:
        host.check_output(f"rm {HERE}/gone.*")


def test_more_than_its_bytes_goes_the_oldest_first(host: Any) -> None:
    for number, days in ((1, 1), (2, 2), (3, 3), (4, 4)):
        write(host, f"pages.access.json.{number}", 3, days_old=days)
    host.check_output("systemctl start ferryman-logs.service")
    assert [name for name in names(host) if name[-1].isdigit()] == [f"pages.access.json.{n}" for n in (1, 2, 3)]
    assert "dropped /var/log/nginx/ferryman/pages.access.json.4: more than" in host.check_output(
        "journalctl -o cat -u ferryman-logs -n 20"
    )


def test_clients_get_answers_while_the_disk_is_full_and_the_oldest_logs_make_room(host: Any) -> None:
    asking = f"until test -e /run/enough; do {ASK}; sleep 0.1; done > /run/answers"
    host.check_output(f"rm -f /run/enough; systemd-run --unit=asking --collect bash -c {shlex.quote(asking)}")
    write(host, "../upload", 9, days_old=9)  # no log, however old
    write(host, "pages.access.json.1", 2, days_old=1)
    write(host, "pages.access.json.2", 2, days_old=2)
    try:
        # A log that ran away: it is written to still, and has all the rest of the disk.
        run_away(host)
        host.check_output("systemctl start ferryman-logs.service")
        assert free(host) >= ENOUGH
        assert [name for name in names(host) if name[-1].isdigit()] == ["pages.access.json.1"]
        assert dropped(host)[-1] == "dropped /var/log/nginx/ferryman/pages.access.json.2: the disk is nearly full"
        # It runs on, and nothing else is left that could go.
        host.check_output(f"rm {HERE}/pages.access.json.1")
        run_away(host)
        host.check_output("systemctl start ferryman-logs.service")
        assert free(host) >= ENOUGH
        assert not [name for name in names(host) if name[-1].isdigit()]
        # After a write that found no room, nginx leaves the log alone for the rest of that second.
        ask = f"{ASK} -H 'X-Request-Id: there-is-room-again'; sleep 0.2; grep -q there-is-room-again {LOG}"
        host.check_output(f"timeout 5 sh -c {shlex.quote(f'until {ask}; do :; done')}")
        assert host.file(f"{HERE}/../upload").size == 9_000_000
    finally:
        host.check_output(
            f"rm -f {HERE}/../upload; touch /run/enough; while systemctl is-active -q asking; do sleep 0.1; done"
        )
    answers = host.check_output("cat /run/answers").split()
    assert len(answers) >= 10
    assert set(answers) == {"200"}


def run_away(host: Any) -> None:
    """Write into the log in use until nothing goes any more; clients are served all the same."""
    host.run(f"cat /dev/zero >> {LOG}")
    assert free(host) == 0
    assert host.check_output(ASK) == "200"
    time.sleep(0.5)
    assert free(host) == 0


def dropped(host: Any) -> list[str]:
    return [line for line in host.check_output("journalctl -o cat -u ferryman-logs").splitlines() if "dropped" in line]


def read(**words: Any) -> dict[str, Any]:
    """Return what the module answers; from outside, as Ansible runs it."""
    given = {"sites": {"pages": "pages"}, "entry_path": HERE, **words}
    argv = ["ansible", "host", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--become", "--one-line"]
    argv += ["-m", "ferryman.ops.logs_read", "-a", json.dumps(given)]
    plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=plain)
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout.partition("=> ")[2])
    return told


def test_a_secret_that_a_process_wrote_stays_on_the_host(host: Any) -> None:
    host.check_output("install -d -m 700 /etc/ferryman/sites/pages/secrets")
    host.check_output("echo 'db://pages:tell-nobody-9@127.0.0.1/x' > /etc/ferryman/sites/pages/secrets/DATABASE_URL")
    said = '{"message": "refused: tell-nobody-9", "level": "error", "tried": ["db://pages:tell-nobody-9@127.0.0.1/x"]}'
    host.check_output(
        f"cat > /run/said <<'END'\n{said}\nEND\nsystemd-run --quiet --wait --unit=pages-job cat /run/said"
    )
    told = read(process="job", level="error")
    assert "tell-nobody" not in json.dumps(told)
    line = told["lines"][-1]
    assert line["message"] == "refused: [secret DATABASE_URL of pages]"
    assert line["fields"] == {"tried": ["[secret DATABASE_URL of pages]"]}


def test_rotated_and_packed_logs_are_read_as_one(host: Any) -> None:
    for number in (1, 2, 3):
        host.check_output(f"{ASK} -H 'X-Request-Id: rotation-{number}'; sleep 0.2")
        host.check_output("logrotate -f /etc/logrotate.d/ferryman-nginx")
    host.check_output(f"{ASK} -H 'X-Request-Id: rotation-4'; sleep 0.2")
    assert [name for name in names(host) if name.startswith("pages.access.json")] == [
        "pages.access.json", "pages.access.json.1", "pages.access.json.2.gz", "pages.access.json.3.gz",
    ]  # fmt: skip
    told = read(process="entry", grep=" 200 ", lines=100)["lines"]
    found = [line["request_id"] for line in told if line["request_id"].startswith("rotation-")]
    assert found == [f"rotation-{number}" for number in (1, 2, 3, 4)]
    cursor = read(process="entry")["cursor"]
    assert read(process="entry", cursor=cursor)["lines"] == []
    host.check_output(f"{ASK} -H 'X-Request-Id: rotation-5'; sleep 0.2")
    assert [line["request_id"] for line in read(process="entry", cursor=cursor)["lines"]] == ["rotation-5"]
