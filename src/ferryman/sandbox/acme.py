"""The sandbox's ACME server: its own certificate, the names it sees, and the roots of what it issues.

Pebble keeps accounts and roots in memory: after a restart its roots are new and old accounts unknown. The CA bundle
on the controller therefore gathers every root that this sandbox ever had, so that certificates from before still verify.
"""

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

SETUP = """set -eu
cd /etc/sandbox-acme
if [ ! -s api.pem ]; then
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout ca.key -out ca.pem \\
        -subj '/CN=sandbox ACME API' -addext keyUsage=critical,keyCertSign 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout api.key -out api.csr -subj /CN=acme 2>/dev/null
    printf 'subjectAltName=%s\\nextendedKeyUsage=serverAuth\\n' '@ALT@' > api.ext
    openssl x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile api.ext -out api.new 2>/dev/null
    mv api.new api.pem
fi
cat > names.new <<'NAMES'
@NAMES@
NAMES
if cmp -s names.new names.conf; then rm names.new; else mv names.new names.conf; systemctl restart sandbox-dns.service; fi
systemctl start sandbox-pebble.service
n=0
until curl -sSf --cacert ca.pem https://localhost:15000/roots/0 -o root.pem 2>/dev/null; do
    n=$((n + 1)); [ $n -lt 100 ] || { journalctl -qn 5 -u sandbox-pebble.service >&2; exit 1; }; sleep 0.1
done
cat ca.pem; echo @SPLIT@; cat root.pem
"""


def names(addresses: Mapping[str, list[str]]) -> str:
    """Return dnsmasq's lines for domains -> addresses: each name at or below such a domain is there, and no other."""
    return "\n".join(f"address=/{domain}/{one}" for domain, found in sorted(addresses.items()) for one in found)


def setup_script(host: Host, addresses: Mapping[str, list[str]]) -> str:
    """Return the shell script that brings the server into its state; it may run again and again."""
    alternatives = ",".join(f"DNS:{name}" for name in dict.fromkeys([host.name, *host.aliases, "localhost"]))
    return SETUP.replace("@SPLIT@", f"'{SPLIT}'").replace("@ALT@", alternatives).replace("@NAMES@", names(addresses))


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
