"""The sandbox's ACME server: its own certificate, the names it sees, and the roots of what it issues.

Pebble keeps accounts and roots in memory: after a restart its roots are new and old accounts unknown. So the CA bundle
on the controller gathers every root that this sandbox ever had, and certificates from before still verify.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

from ferryman.errors import Stop
from ferryman.sandbox.model import Host
from ferryman.sandbox.probing import Engine

# What clients of the ACME server trust, and what visitors of the sites trust.
API_CA = "acme-ca.pem"
ISSUED_CA = "ca.pem"
MARK = "-----BEGIN CERTIFICATE-----"
SPLIT = "== issued by:"

SETUP = Path(__file__).parent / "data" / "hosts" / "acme.sh"


def names(addresses: Mapping[str, list[str]]) -> str:
    """Return dnsmasq's lines for domains -> addresses: each name at or below such a domain is there, and no other."""
    return "\n".join(f"address=/{domain}/{one}" for domain, found in sorted(addresses.items()) for one in found)


def setup_script(host: Host, addresses: Mapping[str, list[str]]) -> str:
    """Return the shell script that brings the server into its state; it may run again and again."""
    told = {
        "alternatives": ",".join(f"DNS:{name}" for name in dict.fromkeys([host.name, *host.aliases, "localhost"])),
        "names": names(addresses),
        "split": SPLIT,
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in told.items()) + SETUP.read_text()


def with_root(bundle: str, root: str) -> str:
    """Return the bundle with this root first, once."""
    others = [MARK + part for part in bundle.split(MARK)[1:]]
    return "".join([root.strip() + "\n", *(one.strip() + "\n" for one in others if one.strip() != root.strip())])


def ensure(engine: Engine, container: str, host: Host, addresses: Mapping[str, list[str]], directory: Path) -> None:
    """Bring the ACME server into its state, and write its CA files into `directory`."""
    said = engine.run("exec", "--interactive", container, "sh", "-s", stdin=setup_script(host, addresses), timeout=60)
    api, found, root = said.partition(SPLIT + "\n")
    if not found or MARK not in root:
        raise Stop(f"the ACME server {container} did not say its certificates")
    (directory / API_CA).write_text(api)
    path = directory / ISSUED_CA
    path.write_text(with_root(path.read_text() if path.exists() else "", root))
