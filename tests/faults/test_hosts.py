"""Hosts have bad days of their own: reboots, full disks, wrong clocks, hands that edit; a deploy copes or says so.

Requirements: REL-2, REL-6, REL-13, ENV-2.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import Site

LIVE = "$(readlink -f /srv/{app}/current)"


@contextmanager
def small_disk(site: Site, *, spare_mib: int) -> Iterator[None]:
    """Put the site on a disk of its own that has only so much to spare; what runs goes on from the old one."""
    root = f"/srv/{site.app}"
    site.ssh(
        f"set -e; used=$(du -sm {root} | cut -f1); mkdir -p /run/small;"
        f" mount -t tmpfs -o size=$((used + {spare_mib}))m,mode=755 small /run/small; cp -a {root}/. /run/small/;"
        f" mount --bind /run/small {root}"
    )
    try:
        yield
    finally:
        site.ssh(f"umount {root}; umount /run/small")


def resolved(site: Site) -> str:
    """Return the one release that serves, once nothing is pending; `status` says the same."""
    arbiter = site.arbiter()
    assert not arbiter["pending"]
    assert arbiter["shift"]["phase"] == "stable"
    assert arbiter["live"] == arbiter["current"] == arbiter["shift"]["release_stable"] == site.served()
    return site.served()


def test_a_reboot_after_staging_serves_the_old_release_and_the_next_deploy_finishes(site: Site) -> None:
    before, commit = site.served(), site.repository.commit(good("rebooted after staging"))
    driver = site.begin("deploy", "--env", "dev", "--app", site.app, "--ref", commit, "--json")
    assert driver.wait_for_step("Stage")
    while not site.ssh(f"ls /srv/{site.app}/releases | grep {commit[:7]}", check=False):
        time.sleep(0.1)
    site.reboot()
    failed = driver.wait()
    assert failed.code in (2, 3), str(failed)
    assert resolved(site) == before
    again = site.deploy(commit)
    assert again.code == 0, str(again)
    assert resolved(site) == again.said["release"]


def test_a_reboot_between_switch_and_confirmation_brings_back_the_stable_release(site: Site) -> None:
    before, commit = site.served(), site.repository.commit(good("rebooted before it was confirmed"))
    with site.settings(release_watch_s=30, release_confirm_s=60):
        driver = site.begin("deploy", "--env", "dev", "--app", site.app, "--ref", commit, "--json")
        assert driver.wait_for_step("Send the clients")
        deadline = time.monotonic() + 20
        while site.served() == before:
            assert time.monotonic() < deadline, "clients were never sent to the new release"
            time.sleep(0.1)
        site.reboot()
        # Nobody confirms any more, and what was not confirmed does not outlive a boot.
        assert resolved(site) == before
        failed = driver.wait()
    assert failed.code in (2, 3), str(failed)
    assert any(line.get("status") == "returned" and line["release"].endswith(commit[:7]) for line in site.ledger())
    again = site.deploy(commit)
    assert again.code == 0, str(again)
    assert resolved(site) == again.said["release"]


def test_after_a_reboot_the_live_release_serves_by_itself(site: Site) -> None:
    before = site.good("still there after a reboot")
    site.reboot()
    assert resolved(site) == before


def test_work_aimed_at_another_environments_host_touches_nothing(site: Site, prober: Prober) -> None:
    before, ledger, journal = site.served(), site.ledger(), site.journal()
    site.ssh('sed -i.kept \'s/"dev"/"prod"/\' /etc/ferryman/host.json && grep -q prod /etc/ferryman/host.json')
    try:
        since = site.ssh("date +%s.%N")
        commit = site.repository.commit(good("for another environment"))
        for answer in (site.deploy(commit), site.rollback(), site.run("provision")):
            assert answer.code == 1, str(answer)
            assert "prod" in answer.text
        assert (site.ledger(), site.journal()) == (ledger, journal)
        changed = site.ssh(f"find /etc /srv /usr /var/lib/ferryman -xdev -newermt @{since} -type f | head")
        assert changed == "", "provisioning writes elsewhere than deploys do"
        assert not site.ssh(f"ls /srv/{site.app}/releases | grep {commit[:7]}", check=False)
    finally:
        site.ssh("mv /etc/ferryman/host.json.kept /etc/ferryman/host.json")
    prober.served_only(before)


def test_a_deploy_does_not_need_nginx_to_be_reloadable_and_provisioning_says_what_nginx_says(
    site: Site, prober: Prober
) -> None:
    before = site.served()
    site.ssh("echo 'serwer { listen 80; }' > /etc/nginx/conf.d/by-hand.conf")
    try:
        after = site.good("beside a broken configuration")
        refused = site.run("provision")
        assert refused.code == 1, str(refused)
        assert 'unknown directive "serwer"' in refused.text
        assert "by-hand.conf:1" in refused.text
    finally:
        site.ssh("rm /etc/nginx/conf.d/by-hand.conf")
    prober.served_only(before, after)


def test_what_a_broken_foreign_configuration_does_to_a_reboot_is_seen_and_mended_by_removing_it(site: Site) -> None:
    """nginx reads all of its files or none: a foreign broken one keeps it down after a boot, and `health` says so."""
    before = site.served()
    site.ssh("echo 'serwer { listen 80; }' > /etc/nginx/conf.d/by-hand.conf")
    try:
        site.reboot()
        with pytest.raises(OSError):
            site.get()
        ill = site.run("health", "--app", site.app)
        assert ill.code == 3, str(ill)
        assert [each["entry"]["good"] for each in ill.said["hosts"].values()] == [False], str(ill)
    finally:
        site.ssh("rm /etc/nginx/conf.d/by-hand.conf; systemctl reset-failed nginx; systemctl start nginx")
    assert resolved(site) == before
    assert site.run("health", "--app", site.app).code == 0


def test_a_foreign_listener_on_443_is_named_before_anything_changes(site: Site) -> None:
    before = site.served()
    site.ssh(
        "systemctl stop nginx; systemd-run -q --unit=foreign python3 -m http.server 443; sleep 1;"
        " ss -ltn | grep -q :443"
    )
    try:
        since = site.ssh("date +%s.%N")
        refused = site.run("provision")
        assert refused.code == 1, str(refused)
        assert "443" in refused.text
        assert "python3" in refused.text
        changed = site.ssh(f"find /etc /srv /usr /var/lib/ferryman -xdev -newermt @{since} -type f | head")
        assert changed == ""
    finally:
        site.ssh("systemctl stop foreign; systemctl start nginx")
    assert site.served() == before


def test_a_disk_without_room_refuses_before_it_stages(site: Site, prober: Prober) -> None:
    before = site.served()
    with small_disk(site, spare_mib=20):
        answer = site.deploy(site.repository.commit(good("no room")))
        assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
        assert "MiB free" in answer.text
        assert site.ssh(f"ls /srv/{site.app}/incoming 2>/dev/null", check=False) == ""
    prober.served_only(before)


def test_a_disk_that_fills_while_staging_leaves_nothing_behind(site: Site, prober: Prober) -> None:
    before = site.served()
    # It travels as next to nothing and is large where it lands, so that the space runs out in the middle.
    zeros = site.repository.path / "zeros.bin"
    zeros.write_bytes(bytes(160 << 20))
    commit = site.repository.commit(good("too large"))
    zeros.unlink()
    site.repository.commit(good("small again"))
    with small_disk(site, spare_mib=100):
        answer = site.deploy(commit)
        assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
        assert "no space left" in answer.text
        assert site.ssh(f"ls /srv/{site.app}/incoming 2>/dev/null", check=False) == ""
        assert not site.ssh(f"ls /srv/{site.app}/releases | grep {commit[:7]}", check=False)
    prober.served_only(before)


def test_a_release_edited_by_hand_is_seen_by_status_the_next_deploy_and_whoever_goes_back_to_it(
    site: Site, prober: Prober
) -> None:
    before, commit = site.served(), site.repository.commit(good("edited"))
    first = site.deploy(commit)
    site.ssh(f"echo '# quick fix' >> {LIVE.format(app=site.app)}/app/tiny.py")
    assert site.arbiter()["edited"] == ["tiny.py"]
    again = site.deploy(commit)
    assert (again.code, again.said["status"]) == (0, "live"), str(again)
    assert again.said["found"] == ["the live release was edited by hand: tiny.py"]
    assert site.arbiter()["edited"] == []
    assert "quick fix" not in site.ssh(f"cat {LIVE.format(app=site.app)}/app/tiny.py")
    assert any(line["event"] == "edit_seen" and line["release"] == first.said["release"] for line in site.ledger())
    back = site.rollback()
    assert (back.said["release"], back.said["by_hand"]) == (first.said["release"], ["tiny.py"]), str(back)
    prober.served_only(before, first.said["release"], again.said["release"])


@pytest.mark.parametrize("hours", [pytest.param(-2, marks=pytest.mark.at_times(journey="a clock that is behind")), 2])
def test_a_clock_two_hours_off_changes_nothing(site: Site, prober: Prober, hours: int) -> None:
    """All of Ferryman's code on the host is told a wrong time of day, which is what a container allows."""
    before = site.served()
    place = "$(python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))')/sitecustomize.py"
    wrong = (
        f"import time\n_time, _gmtime = time.time, time.gmtime\ntime.time = lambda: _time() + {hours} * 3600\n"
        f"time.gmtime = lambda s=None: _gmtime(time.time() if s is None else s)\n"
    )
    site.ssh(f"mv {place} /root/site.link; cat > {place}", given=wrong)
    try:
        told = json.loads(site.ssh("python3 -c 'import json, time; print(json.dumps(time.time()))'"))
        assert abs(told - time.time() - hours * 3600) < 60
        first = site.good("by a wrong clock")
        assert not site.arbiter()["lock"]["alive"]
    finally:
        site.ssh(f"rm {place}; mv /root/site.link {place}")
    # Order comes from the ledger's own count, not from times that jumped.
    second = site.good("by the right clock again")
    back = site.rollback()
    assert (back.code, back.said["release"]) == (0, first), str(back)
    prober.served_only(before, first, second)


def test_a_rollback_needs_neither_repository_nor_registry_nor_a_way_out(site: Site, prober: Prober) -> None:
    first, second = site.good("to come back to"), site.good("to leave")
    away = site.repository.path.with_name("moved-away")
    site.repository.path.rename(away)
    site.ssh(
        "nft add table inet cut && nft 'add chain inet cut out { type filter hook output priority 0; policy drop; }'"
        " && nft add rule inet cut out ct state established,related accept && nft add rule inet cut out oif lo accept"
    )
    try:
        nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "UV_OFFLINE": "1"}
        back = site.rollback(**nowhere)
        assert (back.code, back.said["release"]) == (0, first), str(back)
        assert site.served() == first
    finally:
        site.ssh("nft delete table inet cut")
        Path(away).rename(site.repository.path)
    assert prober.failed == []
    assert set(prober.releases) >= {first, second}


def test_commands_for_a_host_that_nobody_reaches_touch_nothing_and_say_where_to_look(site: Site) -> None:
    before = site.served()
    # A connection that an earlier command left open must not help.
    unreachable = "-o ControlPath=none -o ProxyCommand=false"
    with site.settings(ansible_ssh_extra_args=unreachable):
        for words in (("maintenance.on", "--app", site.app), ("unlock", "--app", site.app), ("provision",)):
            answer = site.run(*words)
            assert answer.code == 1, f"{words}\n{answer}"
            assert "web1 cannot be reached" in answer.said["error"]
            assert "check --hosts --env dev" in answer.said["hint"]
        told = site.run("check", "--hosts")
    assert (told.code, list(told.said.get("hosts", {}))) == (1, ["web1"]), str(told)
    (found,) = told.said["hosts"]["web1"]
    assert unreachable in found["right"], "the command that has to get in"
    assert site.served() == before


def test_the_maintenance_page_is_shown_and_hidden_again(site: Site) -> None:
    on = site.run("maintenance.on", "--app", site.app)
    try:
        assert (on.code, on.said["maintenance"], on.said["changed"]) == (0, True, True), str(on)
        again = site.run("maintenance.on", "--app", site.app)
        assert (again.code, again.said["maintenance"], again.said["changed"]) == (0, True, False), str(again)
        assert site.get("/")[0] == 503
        ill = site.run("health", "--app", site.app)
        assert (ill.code, ill.said["maintenance"]) == (3, True), str(ill)
        assert "maintenance.off" in ill.said["hint"]
        assert all(answer["good"] for answer in ill.said["hosts"]["web1"].values()), "the page is all that is wrong"
    finally:
        off = site.run("maintenance.off", "--app", site.app)
    assert (off.code, off.said["maintenance"]) == (0, False), str(off)
    assert site.get("/")[0] == 200
