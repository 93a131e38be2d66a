"""A provisioned entry is what Mozilla's intermediate profile wants, judged from outside by sslyze.

Requirements: CERT-1.
"""

from tests.support import tls
from tests.support.site import Site

THE_AUTHORITYS = {
    "certificate_path_validation": "the sandbox's authority is in nobody's store",
    "maximum_certificate_lifespan": "it issues for five years",
}
"""Findings about the certificate of the sandbox's own authority, which say nothing of the entry."""


def test_protocols_ciphers_curves_and_key_are_mozillas_intermediate(site: Site) -> None:
    """HSTS is not judged by sslyze's profile, and is one day here by design: a first deploy must be able to go back."""
    found = tls.against_intermediate(site.domain, "127.0.0.1", site.ports["https"])
    assert found.keys() - THE_AUTHORITYS.keys() == set(), found
    # The judge has looked: an authority that nobody trusts is always found.
    assert found.keys() == THE_AUTHORITYS.keys()


def test_hsts_begins_with_one_day_and_without_subdomains(site: Site) -> None:
    connection = site.connect()
    connection.request("GET", "/version", headers={"Connection": "close"})
    assert connection.getresponse().headers["Strict-Transport-Security"] == "max-age=86400"


STAPLED = """
set -e
cd $(mktemp -d)
kind="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $kind -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
openssl req $kind -subj /CN=leaf -keyout privkey.pem -out leaf.csr
printf 'subjectAltName=DNS:DOMAIN\\nauthorityInfoAccess=OCSP;URI:http://127.0.0.1:2560\\n' > leaf.ext
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 0x1001 -days 1 -extfile leaf.ext -out leaf.pem
cat leaf.pem ca.pem > fullchain.pem
printf 'V\\t491231235959Z\\t\\t1001\\tunknown\\t/CN=leaf\\n' > index.txt
systemd-run -q --unit=test-ocsp --collect -p WorkingDirectory=$PWD \\
    openssl ocsp -port 2560 -index index.txt -CA ca.pem -rsigner ca.pem -rkey ca.key
link=/etc/ferryman/certificates/APP
before=$(readlink $link)
trap 'ln -sfn $before $link; systemctl stop test-ocsp; /etc/ferryman/certificates.d/nginx >/dev/null' EXIT
ln -sfn $PWD $link
/etc/ferryman/certificates.d/nginx >/dev/null
for attempt in $(seq 40); do
    said=$(openssl s_client -connect 127.0.0.1:443 -servername DOMAIN -status </dev/null 2>/dev/null)
    case "$said" in *"OCSP Response Status: successful"*) echo stapled; break ;; esac
    sleep 0.25
done
"""


def test_answers_of_ocsp_are_stapled_where_the_certificate_names_a_responder_and_only_there(site: Site) -> None:
    ask = f"openssl s_client -connect 127.0.0.1:443 -servername {site.domain} -status </dev/null 2>/dev/null"
    assert "OCSP response: no response sent" in site.ssh(ask)
    script = STAPLED.replace("APP", site.app).replace("DOMAIN", site.domain)
    assert site.ssh(script).endswith("stapled")
    assert "OCSP response: no response sent" in site.ssh(ask)
