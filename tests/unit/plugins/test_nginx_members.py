"""How many processes of each host serve: another text for another count, as provisioning would have rendered it."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.action import nginx_configure as action
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_fence as fence
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_members as members
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_sites as sites
from ansible_collections.ferryman.ops.plugins.module_utils.release import names
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from hypothesis import given
from hypothesis import strategies as st

TEMPLATES = Path(__file__).parents[3] / "roles" / "nginx" / "templates"
HOSTS = ["10.0.0.21", "10.0.0.22", "2001:db8::24"]
OPTIONS = {
    "https_public_port": 443, "acme_root": "/acme", "log_path": "/log", "hsts_seconds": 0, "hsts_subdomains": False,
    "trusted_proxies": [], "peers": HOSTS[:2], "requests_per_second": 0, "connections_per_client": 0, "ipv6": True,
    "http2": "listen", "tls_path": host.TLS,
}  # fmt: skip
counts = st.integers(1, members.MOST)
hosts = st.sampled_from([["127.0.0.1"], HOSTS[:2], HOSTS])


def text(where: Sequence[str], count: int, *, baseline: bool = False) -> str:
    """The site of an application with `count` processes on each of these hosts, as it is rendered."""
    return rendered(tuple(where), count, baseline)


@cache
def rendered(where: tuple[str, ...], count: int, baseline: bool) -> str:
    slots = {
        slot: [f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in where for port in ports]
        for slot, ports in (("blue", range(20000, 20000 + count)), ("green", range(20010, 20010 + count)))
    }
    beside = [address.replace(":2000", ":2002") for address in slots["blue"]] if baseline else []
    done, wrong = sites.complete([{"name": "shop", "domains": ["shop.test"], "slots": slots, "baseline": beside}])
    assert wrong == []
    return action.render(TEMPLATES, done, OPTIONS)[1]["shop"]


@given(hosts, counts, counts)
def test_a_text_is_what_would_have_been_rendered_for_that_count(where: list[str], one: int, other: int) -> None:
    assert members.sized(text(where, one), other) == text(where, other)
    assert members.servers(text(where, one)) == one


@given(hosts, counts, counts)
def test_a_baseline_has_as_many_processes_of_each_host_as_a_slot(where: list[str], one: int, other: int) -> None:
    assert members.sized(text(where, one, baseline=True), other) == text(where, other, baseline=True)


@given(hosts, counts)
def test_nobodys_word_leaves_what_is_rendered(where: list[str], count: int) -> None:
    assert members.sized(text(where, count), 0) == text(where, count)


@given(counts, counts, st.sampled_from(HOSTS))
def test_a_host_that_is_fenced_off_stays_so_with_each_of_its_processes(one: int, other: int, out: str) -> None:
    fenced = fence.without(text(HOSTS, one), {out})
    assert members.sized(fenced, other) == fence.without(text(HOSTS, other), {out})


def test_no_more_processes_than_there_are_ports() -> None:
    assert members.MOST == names.PORTS_PER_PROCESS
    assert names.PORTS.start % members.MOST == 0, "blocks of ports begin at a multiple of ten"
    with pytest.raises(host.Problem, match="cannot serve a slot"):
        members.sized(text(HOSTS, 1), members.MOST + 1)


def test_a_site_without_slots_has_nobody_to_be_counted() -> None:
    plain = "upstream ferryman_plain {\n    server 10.0.0.21:8000 max_fails=0;\n}\n"
    assert members.sized(plain, 3) == plain
    assert members.servers(plain) == 0


@given(st.lists(counts, min_size=1), counts)
def test_addresses_follow_the_count(known: list[int], count: int) -> None:
    before = [f"[2001:db8::24]:2000{number}" for number in range(known[0])]
    assert members.addresses(before, count) == [f"[2001:db8::24]:2000{number}" for number in range(count)]
    assert members.addresses([], count) == []


def test_the_count_is_read_from_beside_the_share_and_what_is_damaged_says_the_way_out(tmp_path: Path) -> None:
    assert members.wanted(str(tmp_path)) == 0
    file = tmp_path / members.FILE
    assert Site("shop").sizes.name == members.FILE, "a step writes what provisioning reads"
    file.write_text(json.dumps({"format": 1, "sizes": {}}))
    assert members.wanted(str(tmp_path)) == 0
    file.write_text(json.dumps({"format": 1, "sizes": {}, "servers": 4}))
    assert members.wanted(str(tmp_path)) == 4
    file.write_text("[")
    with pytest.raises(host.Problem, match="remove it"):
        members.wanted(str(tmp_path))
