"""Whether a host is fit for what an inventory wants of it: pure judgements over what was read, each with the way out.

A judgement is good, wrong, or unknown: what nobody could read is no reason to go on, and none to stop.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Callable, Iterable, Iterator, Mapping, Sequence

GOOD, WRONG, UNKNOWN = "good", "wrong", "unknown"
MIB = 2**20
FILES = 10000  # a Python environment alone has some thousand
RESERVED = 5  # PostgreSQL keeps three for its superuser; a dump and a person need one each
PYTHON = (3, 9)
CERTBOT = (3, 10)  # certbot 5
SYSTEMD = 247  # LoadCredential= (systemd.exec(5))
Judgement = dict[str, str]
Seen = Mapping[str, Any]


def judge(seen: Seen, wanted: Mapping[str, Any]) -> list[Judgement]:
    """Return every judgement of a host.

    `seen` is what survey.py read; `wanted` holds the role's options without their prefix, with `before_s` and `after_s`
    (the driver's clock around the reading), `names` (what each domain leads to, asked on the driver) and
    `reached_at` (the addresses by which the driver reaches the host).
    """
    found: list[Judgement] = []
    for key, (reading, rule) in RULES.items():
        read = seen.get(reading, {"error": "it was not read"}) if reading else {}
        if isinstance(read, dict) and "error" in read:
            broken = key == "marker"  # what stands there and cannot be understood is more than unknown
            found.append(said(key, WRONG if broken else UNKNOWN, str(read["error"]), "look at the host"))
            continue
        found += list(rule(seen, wanted))
    return found


def said(key: str, state: str, text: str, right: str = "") -> Judgement:
    """Return a judgement."""
    return {"key": key, "state": state, "said": text, "right": right}


def marked(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """The host belongs to this environment, or to nobody yet."""
    owners, env = seen["marker"].get("environments"), wanted["environment"]
    if owners is None:
        yield said("marker", UNKNOWN, "it was never provisioned", "provision")
    elif env not in owners:
        yield said(
            "marker", WRONG, f"it belongs to environment {', '.join(owners)}, not to {env}",
            "another address; to share it, host_shared must be true in both environments",
        )  # fmt: skip
    elif bool(seen["marker"].get("shared")) != bool(wanted["shared"]):
        text = f"it was provisioned with host_shared: {str(bool(seen['marker'].get('shared'))).lower()}"
        yield said("marker", WRONG, text, "host_shared as it was; it names the sites on the host")
    else:
        yield said("marker", GOOD, f"it belongs to {', '.join(owners)}")


def clock(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """The clock is the driver's, give or take: certificates and logs depend on it."""
    here = float(seen["clock"])
    off = max(wanted["before_s"] - here, here - wanted["after_s"], 0.0)
    if off > wanted["check_clock_s"]:
        way = "behind" if here < wanted["before_s"] else "ahead of"
        yield said("clock", WRONG, f"it is {off:.0f} s {way} this machine's", "timedatectl, on whichever is wrong")
    else:
        yield said("clock", GOOD, f"within {wanted['check_clock_s']} s of this machine's")


def disk(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """There is room for releases and data."""
    low = []
    for each in seen["disk"]:
        if each["free_bytes"] < wanted["check_disk_mb"] * MIB:
            low.append(f"{each['path']} has {each['free_bytes'] // MIB} MiB free")
        elif each["free_files"] < FILES and each["free_files"] > 0:  # some file systems count none
            low.append(f"{each['path']} has room for {each['free_files']} files")
    if low:
        yield said("disk", WRONG, ", ".join(low), f"free some: host_check_disk_mb wants {wanted['check_disk_mb']} MiB")
    else:
        yield said(
            "disk", GOOD, ", ".join(f"{each['path']} {each['free_bytes'] // MIB} MiB free" for each in seen["disk"])
        )


def memory(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """A deploy may take what it may: both slots are up side by side, and a baseline where there is one."""
    total, needed = seen["memory"]["total_bytes"], wanted["check_memory_mb"] * MIB
    if needed > total:
        text = f"a deploy may take {needed // MIB} MiB, and it has {total // MIB} MiB"
        yield said("memory", WRONG, text, "lower memory_max or instances")
    elif needed:
        yield said("memory", GOOD, f"a deploy may take {needed // MIB} of {total // MIB} MiB")
    else:
        yield said("memory", UNKNOWN, f"it has {total // MIB} MiB, and nothing says what a deploy takes", "memory_max")


def connections(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """PostgreSQL lets in at least one connection for each process that is up during a deploy."""
    if not wanted["check_connections"]:
        return
    most, needed = seen["postgresql"].get("max_connections"), wanted["check_connections"] + RESERVED
    if most is None:
        yield said("max_connections", UNKNOWN, "no PostgreSQL runs here yet", "provision")
    elif most < needed:
        text = f"PostgreSQL lets in {most}, and a deploy with what it keeps for itself needs {needed}"
        yield said("max_connections", WRONG, text, "postgresql_settings: {max_connections: ...}, or fewer instances")
    else:
        yield said("max_connections", GOOD, f"{most}, and at least {needed} are needed")


def ports(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """The ports of entry and sites are free, or ours."""
    foreign = [one for one in seen["listeners"] if not _ours(one)]
    if foreign:
        yield said("ports", WRONG, "; ".join(one["said"] for one in foreign), "stop it, or move it to another port")
    else:
        taken = sorted({one["port"] for one in seen["listeners"]})
        yield said("ports", GOOD, f"ours: {', '.join(map(str, taken))}" if taken else "free")


def _ours(one: Mapping[str, Any]) -> bool:
    if one["process"] == "nginx" and one["unit"] == "nginx.service":
        return True
    return bool(one["site"]) and one["unit"].startswith(f"{one['site']}-")


def versions(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """What is installed is new enough, and a distribution that is tested."""
    have, wrong = seen["versions"], []
    python = tuple(int(part) for part in have["python"].split(".")[:2])
    least = CERTBOT if wanted["check_domains"] else PYTHON
    if python < least:
        wrong.append(f"Python {have['python']}, and {'.'.join(map(str, least))} is needed")
    if have["systemd"] and int(have["systemd"]) < SYSTEMD:
        wrong.append(f"systemd {have['systemd']}, and {SYSTEMD} is needed")
    if have["distribution"] not in wanted["check_distributions"]:
        wrong.append(f"{have['distribution']}, and roles know {', '.join(wanted['check_distributions'])}")
    if wrong:
        yield said("versions", WRONG, "; ".join(wrong), "another host, or an upgrade of this one")
    else:
        listed = [
            have["distribution"],
            *(f"{name} {have[name]}" for name in ("python", "systemd", "nginx") if have[name]),
        ]
        yield said("versions", GOOD, ", ".join(listed))


def ways(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """What is asked from the host can be reached from it: the source of packages, the certificate authority."""
    del wanted
    for one in seen["ways"]:
        if one["reached"]:
            yield said("way out", GOOD, f"{one['to']} is reached")
        else:
            right = "let it out, or name a proxy: Acquire::http::Proxy in /etc/apt/apt.conf.d"
            yield said("way out", WRONG, f"{one['to']} is not reached: {one['why']}", right)


def domains(seen: Seen, wanted: Mapping[str, Any]) -> Iterator[Judgement]:
    """Every name leads to the entry, over IPv4 and IPv6, as this machine sees it."""
    own = [*_listed(seen["addresses"], loopback=_is_loopback(wanted["reached_at"])), *wanted["reached_at"]]
    own = list(dict.fromkeys(own))
    further = []
    for each in [*wanted["check_addresses"], *wanted["check_balancers"]]:
        if _is_network(each):
            further.append(each)
        else:  # a balancer may have a name, or a socket
            right = "an address or a network (192.0.2.0/24) in host_check_addresses, nginx_trusted_proxies"
            yield said("dns", UNKNOWN, f"{each!r} cannot be compared with what names lead to", right)
    for name in wanted["check_domains"]:
        yield domain(name, wanted["names"].get(name, []), own, further)


def domain(name: str, leads: Sequence[str], own: Sequence[str], further: Iterable[str]) -> Judgement:
    """Judge one name: `leads` are its A and AAAA, `own` the host's addresses, `further` addresses and networks."""
    shown = ", ".join(_listed(own, loopback=_is_loopback(own))) or "no address that is known"
    if not leads:
        return said("dns", WRONG, f"{name} leads nowhere", f"an A (and AAAA) record that leads to {shown}")
    mine = {ipaddress.ip_address(each) for each in own}
    networks = [ipaddress.ip_network(each, strict=False) for each in further]
    astray = [each for each in leads if not _among(each, mine, networks)]
    if astray:
        text = f"{name} leads to {', '.join(astray)}, and the entry is {shown}"
        return said("dns", WRONG, text, "change the record; behind a balancer or NAT: host_check_addresses")
    return said("dns", GOOD, f"{name} leads here ({', '.join(leads)})")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _among(address: str, mine: set[Any], networks: Sequence[Any]) -> bool:
    found = ipaddress.ip_address(address)
    if found.is_loopback and any(each.is_loopback for each in mine):
        return True  # reached by one, it answers to all that this machine has
    return found in mine or any(found.version == each.version and found in each for each in networks)


def _listed(addresses: Iterable[str], *, loopback: bool) -> list[str]:
    """Return addresses without the loopback's, unless the host is reached by one: every host has those."""
    return [each for each in addresses if loopback or not ipaddress.ip_address(each).is_loopback]


def _is_loopback(addresses: Sequence[str]) -> bool:
    return any(ipaddress.ip_address(each).is_loopback for each in addresses)


Rule = Callable[[Seen, Mapping[str, Any]], Iterator[Judgement]]
RULES: dict[str, tuple[str, Rule]] = {
    "marker": ("marker", marked),
    "clock": ("clock", clock),
    "disk": ("disk", disk),
    "memory": ("memory", memory),
    "max_connections": ("postgresql", connections),
    "ports": ("listeners", ports),
    "versions": ("versions", versions),
    "way out": ("ways", ways),
    "dns": ("addresses", domains),
}
"""By what people call it: the reading that a judgement needs, and the judgement."""
