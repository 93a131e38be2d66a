"""What is judged of a host: each reading alone, no data as an answer of its own, and every wrong with its way out."""

import ipaddress
import socket
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action import host_check as action
from ansible_collections.ferryman.ops.plugins.module_utils.host import fitness, survey
from hypothesis import given
from hypothesis import strategies as st

MIB = 2**20
SEEN: dict[str, Any] = {
    "marker": {"format": 1, "environments": ["prod"], "shared": False},
    "addresses": ["127.0.0.1", "::1", "192.0.2.11", "2001:db8::11"],
    "disk": [{"path": "/srv", "free_bytes": 9000 * MIB, "free_files": 10**6}],
    "memory": {"total_bytes": 2048 * MIB, "available_bytes": 900 * MIB},
    "listeners": [],
    "postgresql": {"max_connections": 100},
    "versions": {"python": "3.11.2", "systemd": "252", "nginx": "1.22.1", "distribution": "debian-12"},
    "ways": [{"to": "apt.example.org:80", "reached": True, "why": ""}],
    "clock": 1000.0,
}
WANTED: dict[str, Any] = {
    "environment": "prod", "shared": False,
    "check_domains": ["shop.test"], "check_addresses": [], "check_balancers": [],
    "check_memory_mb": 1024, "check_connections": 8, "check_disk_mb": 1024, "check_clock_s": 30,
    "check_distributions": ["debian-12"], "before_s": 999.0, "after_s": 1001.0,
    "names": {"shop.test": ["192.0.2.11", "2001:db8::11"]}, "reached_at": ["192.0.2.11"],
}  # fmt: skip


def judged(key: str, *, wanted: dict[str, Any] | None = None, **seen: Any) -> tuple[str, str]:
    """Return state and words of one judgement, with some readings or wishes changed."""
    found = fitness.judge({**SEEN, **seen}, {**WANTED, **(wanted or {})})
    (one,) = [each for each in found if each["key"] == key]
    assert one["state"] == fitness.GOOD or one["right"], "what is not good says what to do"
    return one["state"], one["said"]


def test_a_fit_host_is_good_in_everything() -> None:
    found = fitness.judge(SEEN, WANTED)
    assert [each["key"] for each in found] == list(fitness.RULES)
    assert {each["state"] for each in found} == {fitness.GOOD}, found


@pytest.mark.parametrize("key", [key for key, (reading, _) in fitness.RULES.items() if reading != "marker"])
def test_what_could_not_be_read_is_unknown_and_hides_nothing_else(key: str) -> None:
    reading = fitness.RULES[key][0]
    found = fitness.judge({**SEEN, reading: {"error": "OSError: it broke"}}, WANTED)
    states = {each["key"]: each["state"] for each in found}
    assert states.pop(key) == fitness.UNKNOWN
    assert set(states.values()) == {fitness.GOOD}


def test_a_marker_that_cannot_be_understood_is_wrong() -> None:
    assert judged("marker", marker={"error": "Refusal: it is not JSON"})[0] == fitness.WRONG


def test_a_host_of_another_environment_is_wrong_and_a_new_one_is_unknown() -> None:
    assert judged("marker", marker={"environments": ["staging"]}) == (
        fitness.WRONG,
        "it belongs to environment staging, not to prod",
    )
    assert judged("marker", marker={}) == (fitness.UNKNOWN, "it was never provisioned")
    assert judged("marker", wanted={"shared": True})[0] == fitness.WRONG


@given(off=st.floats(-(10**6), 10**6), width=st.floats(0, 100))
def test_only_a_clock_that_is_off_beyond_the_question_itself_is_wrong(off: float, width: float) -> None:
    state, said = judged("clock", clock=5000.0 + off, wanted={"before_s": 5000.0, "after_s": 5000.0 + width})
    assert (state == fitness.WRONG) == (off < -30 or off - width > 30)
    assert state == fitness.GOOD or ("behind" in said) == (off < 0)


@given(free=st.integers(0, 2**40), least=st.integers(0, 2**20))
def test_a_disk_is_wrong_where_less_is_free_than_is_wanted(free: int, least: int) -> None:
    state, _ = judged(
        "disk", disk=[{"path": "/srv", "free_bytes": free, "free_files": 0}], wanted={"check_disk_mb": least}
    )
    assert (state == fitness.WRONG) == (free < least * MIB)


def test_a_disk_without_room_for_files_is_wrong() -> None:
    state, said = judged("disk", disk=[{"path": "/var", "free_bytes": 2**40, "free_files": 12}])
    assert (state, said) == (fitness.WRONG, "/var has room for 12 files")


@given(total=st.integers(1, 2**40), needed=st.integers(0, 2**20))
def test_memory_is_wrong_where_both_slots_may_take_more_than_there_is(total: int, needed: int) -> None:
    memory = {"total_bytes": total, "available_bytes": 0}
    state, _ = judged("memory", memory=memory, wanted={"check_memory_mb": needed})
    assert state == (fitness.UNKNOWN if needed == 0 else fitness.WRONG if needed * MIB > total else fitness.GOOD)


@given(most=st.integers(1, 500), processes=st.integers(1, 500))
def test_connections_are_wrong_where_both_slots_have_more_processes_than_get_in(most: int, processes: int) -> None:
    state, _ = judged("max_connections", postgresql={"max_connections": most}, wanted={"check_connections": processes})
    assert (state == fitness.WRONG) == (most < processes + fitness.RESERVED)


def test_a_database_that_is_not_there_yet_is_unknown_and_none_is_asked_of_other_hosts() -> None:
    assert judged("max_connections", postgresql={})[0] == fitness.UNKNOWN
    found = fitness.judge(SEEN, {**WANTED, "check_connections": 0})
    assert "max_connections" not in [each["key"] for each in found]


def listener(port: int, process: str, unit: str, site: str = "") -> dict[str, Any]:
    return {"port": port, "process": process, "unit": unit, "site": site, "said": f"port {port}: {process}"}


def test_ports_are_ours_where_nginx_or_the_sites_own_processes_listen() -> None:
    ours = [
        listener(443, "nginx", "nginx.service"),
        listener(20000, "python3", "shop-web@blue-1.service", "shop"),
    ]
    assert judged("ports", listeners=ours) == (fitness.GOOD, "ours: 443, 20000")
    for foreign in (
        listener(80, "apache2", "apache2.service"),
        listener(443, "nginx", "docker-abc.scope"),
        listener(20000, "python3", "api-web@blue-1.service", "shop"),
        listener(20000, "python3", "", "shop"),
    ):
        state, said = judged("ports", listeners=[*ours, foreign])
        assert (state, said) == (fitness.WRONG, foreign["said"])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("python", "3.8.10", "Python 3.8.10"),
        ("python", "3.9.2", "and 3.10 is needed"),
        ("systemd", "245", "systemd 245, and 247 is needed"),
        ("distribution", "ubuntu-24.04", "ubuntu-24.04, and roles know debian-12"),
    ],
)
def test_what_is_too_old_or_unknown_is_told(name: str, value: str, said: str) -> None:
    state, told = judged("versions", versions={**SEEN["versions"], name: value})
    assert state == fitness.WRONG
    assert said in told


def test_a_host_without_domains_needs_no_certbot_and_so_no_newer_python() -> None:
    versions = {**SEEN["versions"], "python": "3.9.2"}
    assert judged("versions", versions=versions, wanted={"check_domains": []})[0] == fitness.GOOD


def test_a_way_out_that_is_shut_is_told_with_its_reason() -> None:
    state, said = judged("way out", ways=[{"to": "acme.test:443", "reached": False, "why": "timed out"}])
    assert (state, said) == (fitness.WRONG, "acme.test:443 is not reached: timed out")


ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(
    leads=st.lists(ADDRESS, max_size=4),
    own=st.lists(ADDRESS, min_size=1, max_size=4),
    further=st.lists(ADDRESS, max_size=2),
)
def test_a_name_is_good_where_all_that_it_leads_to_is_the_entrys(
    leads: list[str], own: list[str], further: list[str]
) -> None:
    known = {ipaddress.ip_address(each) for each in [*own, *further]}
    if any(ipaddress.ip_address(each).is_loopback for each in own):
        known |= {found for each in leads if (found := ipaddress.ip_address(each)).is_loopback}
    told = fitness.domain("shop.test", leads, own, further)
    assert (told["state"] == fitness.GOOD) == (bool(leads) and {ipaddress.ip_address(each) for each in leads} <= known)
    astray = [each for each in leads if ipaddress.ip_address(each) not in known]
    assert all(each in told["said"] for each in astray), "it says what the name leads to instead"


def test_a_name_of_which_ipv6_leads_elsewhere_is_wrong() -> None:
    state, said = judged("dns", wanted={"names": {"shop.test": ["192.0.2.11", "2001:db8::99"]}})
    assert state == fitness.WRONG
    assert said == "shop.test leads to 2001:db8::99, and the entry is 192.0.2.11, 2001:db8::11"


def test_a_name_may_lead_to_a_balancer_and_to_no_loopback_of_a_host_elsewhere() -> None:
    assert (
        judged("dns", wanted={"names": {"shop.test": ["198.51.100.7"]}, "check_balancers": ["198.51.100.0/24"]})[0]
        == fitness.GOOD
    )
    assert judged("dns", wanted={"names": {"shop.test": ["127.0.0.1"]}})[0] == fitness.WRONG
    here = {"names": {"shop.test": ["127.0.0.1", "::1"]}, "reached_at": ["127.0.0.1"]}
    assert judged("dns", wanted=here)[0] == fitness.GOOD


@pytest.mark.parametrize("option", ["check_addresses", "check_balancers"])
def test_what_is_no_address_is_told_and_hides_no_name(option: str) -> None:
    found = fitness.judge(SEEN, {**WANTED, option: ["192.0.2.0/33", "unix:"]})
    told = [(each["state"], each["said"]) for each in found if each["key"] == "dns"]
    assert [state for state, _ in told] == [fitness.UNKNOWN, fitness.UNKNOWN, fitness.GOOD]
    assert "192.0.2.0/33" in told[0][1]


def test_this_machine_can_be_read_and_every_reading_answers_by_itself() -> None:
    seen = survey.survey({1}, [])
    assert set(seen) >= {reading for reading, _ in fitness.RULES.values()}
    assert seen["memory"]["total_bytes"] > 0
    assert seen["versions"]["python"].startswith("3.")


def test_names_below_localhost_lead_to_the_loopback_whatever_the_resolver_knows() -> None:
    assert action.addresses("notes.localhost") == action.addresses("localhost") == ["127.0.0.1", "::1"]
    assert action.addresses("192.0.2.11") == ["192.0.2.11"]
    assert action.addresses("nowhere.invalid") == []


def test_of_a_wildcard_a_name_below_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(name: str, *_: Any) -> list[Any]:
        asked.append(name)
        return [(0, 0, 0, "", ("192.0.2.11", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert action.addresses("*.shop.test") == ["192.0.2.11"]
    assert set(asked) == {"ferryman-check.shop.test"}


def test_a_reading_of_what_is_no_object_is_unknown_and_spares_the_others() -> None:
    def broken() -> object:
        return [].items()  # type: ignore[attr-defined]  # as of a damaged file

    assert "AttributeError" in survey._reading(broken)["error"]
