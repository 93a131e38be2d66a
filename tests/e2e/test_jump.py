"""A server that only a jump host reaches, on which sudo wants a password: what is done elsewhere is done there too.

Requirements: SEC-1.
"""

import os
import time
from collections.abc import Iterator

import pytest
import yaml
from tests.support import site as sites
from tests.support.cuts import within
from tests.support.driving import READY_S
from tests.support.histories import good
from tests.support.planted import CODE, Watch, holding
from tests.support.prober import Prober
from tests.support.site import ENV, HOST, Site

from ferryman.sandbox.probing import probe

pytestmark = pytest.mark.at_times(journey="a server behind a jump host")

JUMP = "acme1"
PORT = 2222


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose host publishes no SSH, provisioned and with a first release, by way of another host."""
    sites.sweep()
    root = tmp_path_factory.mktemp("inside")
    site = sites.lay_out(root, f"{sites.PREFIX}-inside-{os.getpid()}")
    path = root / "inventories" / ENV / "hosts.yml"
    tree = yaml.safe_load(path.read_text())
    web = tree["all"]["children"]["entry"]["hosts"][HOST]
    publish = {out: port for out, port in web["sandbox_publish"].items() if port in (80, 443)}
    web.update(ansible_host=HOST, ansible_port=PORT, sandbox_publish=publish, sandbox_sudo="password")
    web["ansible_ssh_common_args"] = "-F '{{ sandbox_files }}/ssh_config' -o ProxyJump=" + JUMP
    web["ansible_become_password"] = "{{ lookup('ansible.builtin.file', sandbox_files ~ '/sudo-password') }}"
    path.write_text(yaml.safe_dump(tree))
    try:
        sites.up(site)
        yield site
    finally:
        sites.down(site)


def password(site: Site) -> str:
    return (site.root / ".ferryman" / "sandbox" / site.name / "sudo-password").read_text().strip()


def test_a_host_behind_a_jump_host_is_provisioned_deployed_to_and_brought_back_and_nobody_writes_its_password_down(
    inside: Site,
) -> None:
    since, secret = time.time(), password(inside)
    with Watch(inside.root / ".ferryman" / "runner", secret) as watch, Prober(inside) as prober:
        again = inside.run("provision", timeout_s=READY_S)
        assert (again.code, again.said["changed"]) == (0, False), str(again)
        before = inside.served()
        new = inside.good("behind a jump host")
        same = inside.deploy(inside.repository.commits[-1])
        assert (same.code, same.said["status"], same.said["changed"]) == (0, "unchanged", False), str(same)
        back = inside.rollback()
        assert (back.code, inside.served()) == (0, before), str(back)
    prober.served_only(before, new)
    assert watch.looked > 10
    assert watch.found == []
    kept = inside.root / ".ferryman" / "sandbox" / inside.name / "sudo-password"
    assert [path for path in holding(inside.root, [secret], since) if path != str(kept)] == []
    assert not any(secret in answer.text for answer in (again, same, back))
    found = probe().run("exec", "--interactive", inside.container, "python3", "-c", CODE, stdin=secret)
    assert found.split() == [], "on the host there is its hash alone"


def test_a_sudo_password_that_is_wrong_is_told_as_that_and_nothing_is_touched(inside: Site) -> None:
    path = inside.root / "inventories" / ENV / "hosts.yml"
    told = path.read_text()
    tree = yaml.safe_load(told)
    tree["all"]["children"]["entry"]["hosts"][HOST]["ansible_become_password"] = "of somebody else"
    before, journal = inside.served(), within(inside, HOST, f"cat {inside.journal_path}")
    path.write_text(yaml.safe_dump(tree))
    try:
        answer = inside.deploy(inside.repository.commit(good("by the wrong one")))
    finally:
        path.write_text(told)
    assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
    assert "sudo" in answer.said["reason"], str(answer)
    assert "of somebody else" not in answer.text
    assert (inside.served(), within(inside, HOST, f"cat {inside.journal_path}")) == (before, journal)
