"""Whom a site's slots are served by: an app host is out of them, or in, and nothing else of the text is another."""

import json
from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.action import nginx_configure as action
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_fence as fence
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_sites as sites
from ansible_collections.ferryman.ops.plugins.module_utils.release import fencing
from hypothesis import given
from hypothesis import strategies as st

TEMPLATES = Path(__file__).parents[3] / "roles" / "nginx" / "templates"
HOSTS = ["10.0.0.21", "10.0.0.22", "10.0.0.23", "2001:db8::24"]
OPTIONS = {
    "https_public_port": 443, "acme_root": "/acme", "log_path": "/log", "hsts_seconds": 0, "hsts_subdomains": False,
    "trusted_proxies": [], "peers": HOSTS[:2], "requests_per_second": 0, "connections_per_client": 0, "ipv6": True,
    "http2": "listen", "tls_path": host.TLS,
}  # fmt: skip


def text(hosts: list[str]) -> str:
    """The site of an application on these hosts, with a baseline.

    The first ones are entries, too: they ask each other on port 80.
    """
    slots = {
        slot: [f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in hosts]
        for slot, port in (("blue", 20000), ("green", 20010))
    }
    beside = [address.replace(":20000", ":20020") for address in slots["blue"]]
    done, wrong = sites.complete([{"name": "shop", "domains": ["shop.test"], "slots": slots, "baseline": beside}])
    assert wrong == []
    return action.render(TEMPLATES, done, OPTIONS)[1]["shop"]


WHOLE = text(HOSTS)
some = st.sets(st.sampled_from([*HOSTS, "10.0.0.99"])).filter(lambda out: not out.issuperset(HOSTS))


@given(some, some)
def test_who_is_out_depends_on_the_last_word_alone_and_all_others_lines_stay(one: set[str], other: set[str]) -> None:
    told = fence.without(WHOLE, one)
    assert fence.without(fence.without(WHOLE, other), one) == told
    assert fence.without(told, []) == WHOLE
    for before, after in zip(WHOLE.splitlines(), told.splitlines(), strict=True):
        if before != after:
            assert after == before.replace(";", " down;", 1)
            assert any(before.strip().startswith((f"server {each}:2", f"server [{each}]:2")) for each in one)
    for each in one & {*HOSTS}:
        named = [line for line in told.splitlines() if f"server {each}:2" in line or f"server [{each}]:2" in line]
        slots = "in its slot, behind it where all are left out, and behind the other slot"
        assert len(named) == 6 + 4, f"{slots}; for each slot's baseline, and behind that"
        assert all(line.split(";")[0].endswith(" down") for line in named)


@given(st.integers(1, len(HOSTS)))
def test_the_last_app_host_is_never_fenced_off(count: int) -> None:
    with pytest.raises(host.Problem, match="the last app host is never fenced off"):
        fence.without(text(HOSTS[:count]), HOSTS[:count])


def test_a_site_without_slots_is_nobodys_to_be_fenced_off_from() -> None:
    plain = "upstream ferryman_plain {\n    server 10.0.0.21:8000 max_fails=0;\n}\n"
    assert fence.without(plain, ["10.0.0.21"]) == plain


def test_who_is_out_is_read_from_beside_the_share_and_what_is_damaged_there_says_the_way_out(tmp_path: Path) -> None:
    assert fence.addresses(str(tmp_path)) == set()
    told = {"format": 1, "hosts": {"app2": {"address": "10.0.0.22", "for": {"hand": {}}}}}
    (tmp_path / fence.FILE).write_text(json.dumps(told))
    assert fence.addresses(str(tmp_path)) == {"10.0.0.22"}
    (tmp_path / fence.FILE).write_text("{")
    with pytest.raises(host.Problem, match="remove it"):
        fence.addresses(str(tmp_path))


def test_provisioning_reads_the_file_that_a_deploy_writes() -> None:
    assert fence.FILE == fencing.FILE
