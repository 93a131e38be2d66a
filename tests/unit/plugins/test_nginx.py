"""What role nginx decides: sites, texts, owners, listeners, and how a configuration is tried."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.action import nginx_configure as action
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_host as host
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_listeners as listeners
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_place as place
from ansible_collections.ferryman.ops.plugins.module_utils import nginx_sites as sites
from hypothesis import given
from hypothesis import strategies as st

TEMPLATES = Path(__file__).parents[3] / "roles" / "nginx" / "templates"
SLOTS = {"blue": ["127.0.0.1:20000", "[::1]:20001"], "green": ["127.0.0.1:20010"]}
SITE: dict[str, Any] = {"name": "demo-app", "domains": ["demo.test"], "slots": SLOTS}
OPTIONS: dict[str, Any] = {
    "https_public_port": 443,
    "acme_root": "/var/lib/ferryman/acme",
    "log_path": "/var/log/nginx/ferryman",
    "hsts_seconds": 86400,
    "hsts_subdomains": False,
    "trusted_proxies": [],
    "peers": [],
    "requests_per_second": 0,
    "connections_per_client": 0,
    "ipv6": True,
    "http2": "listen",
    "tls_path": host.TLS,
}
MAIN = """events {}
http {
    include mime.types;
    include /etc/nginx/conf.d/*.conf;
    include /etc/nginx/sites-enabled/*;
}
"""


def errors(**changes: Any) -> list[str]:
    return sites.complete([{**SITE, **changes}])[1]


def text(**options: Any) -> str:
    done, wrong = sites.complete([{**SITE, **options.pop("site", {})}])
    assert wrong == []
    return action.render(TEMPLATES, done, {**OPTIONS, **options})[1]["demo-app"]


def test_a_site_is_completed_with_the_paths_that_all_agree_on() -> None:
    (site,), wrong = sites.complete([SITE])
    assert wrong == []
    assert site["share_path"] == "/var/lib/ferryman/sites/demo-app"
    assert site["certificate"]["key"] == "/etc/ferryman/certificates/demo-app/privkey.pem"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "demo--app"}, "name must be"),
        ({"domains": []}, "at least one name"),
        ({"domains": ["demo.test;"]}, "is no host name"),
        ({"root": "/srv"}, "exactly one of slots, upstreams and root"),
        ({"slots": None}, "here: none"),
        ({"slots": {"blue": ["127.0.0.1:1"]}}, "blue and green"),
        ({"slots": {"blue": ["127.0.0.1:1"], "green": []}}, "each slot needs an address"),
        ({"slots": {"blue": ["127.0.0.1:1"], "green": ["127.0.0.1:1"]}}, "could not tell them apart"),
        ({"slots": {"blue": ["127.0.0.1:1; "], "green": ["127.0.0.1:2"]}}, "host:port"),
        ({"share_path": "relative"}, "no absolute path"),
        ({"static_roots": {"blue": "/a"}}, "both blue and green"),
        ({"certificate": {"certificate": "/a"}}, "both certificate and key"),
        ({"max_body": "much"}, "max_body"),
        ({"fallback": "=404; evil"}, "fallback"),
    ],
)
def test_what_is_wrong_with_a_site_is_said(changes: dict[str, Any], said: str) -> None:
    assert any(said in error for error in errors(**changes))


def test_two_sites_never_share_a_name_or_a_domain() -> None:
    _, wrong = sites.complete([SITE, {**SITE}])
    assert len([error for error in wrong if "is also that of" in error]) == 2


@given(st.text(min_size=1, max_size=30))
def test_no_value_breaks_out_of_its_place_in_the_configuration(value: str) -> None:
    for key in ("name", "share_path", "max_body"):
        if set(value) & set(" ;{}$'\"\n\\#"):
            assert errors(**{key: value})
    if set(value) & set(" ;{}$'\"\n\\#"):
        assert errors(domains=[value])


def test_every_bucket_is_there_and_has_one_percent() -> None:
    lines = text().splitlines()
    assert [line.split()[1] for line in lines if line.strip().startswith("1% ")] == [f"{n:02d};" for n in range(99)]
    assert "    * 99;" in lines


def test_each_slot_names_the_other_as_its_backup_and_nobody_is_counted_out() -> None:
    servers = [
        line.strip() for line in text().splitlines() if line.strip().startswith("server ") and "max_fails" in line
    ]
    assert len(servers) == 6
    assert all("max_fails=0" in line for line in servers)
    assert len([line for line in servers if line.endswith("backup;")]) == 3


def test_the_public_port_is_named_only_where_it_is_not_the_usual_one() -> None:
    assert "return 301 https://$host$request_uri;" in text()
    assert "return 301 https://$host:8443$request_uri;" in text(https_public_port=8443)


def test_http2_is_asked_for_as_the_version_wants_it() -> None:
    assert "http2 on;" not in text(http2="listen")
    assert "http2;" not in text(http2="directive")
    assert (
        action.version("nginx version: nginx/1.22.1\n") < action.DIRECTIVE_SINCE <= action.version("nginx/1.26.3 (x)")
    )
    assert action.version("sh: 1: /usr/sbin/nginx: not found") == ()


def test_error_pages_are_named_locations_without_an_equals_sign() -> None:
    found = [line.split() for line in text().splitlines() if line.strip().startswith("error_page")]
    assert found
    assert all(words[-1].startswith("@") and "=" not in words for words in found)


def test_a_header_is_added_in_one_place_only_since_a_second_one_takes_the_first_away() -> None:
    entry = text().split("# --- HTTPS ---")[1]
    assert not [line for line in entry.splitlines() if line.startswith("        ") and "add_header" in line]


def test_limits_are_there_when_they_are_asked_for() -> None:
    assert "limit_" not in text()
    limited = text(requests_per_second=10, connections_per_client=20)
    assert "rate=10r/s" in limited
    assert "limit_conn ferryman_demo_app_connections 20;" in limited


def test_equal_content_has_an_equal_name() -> None:
    assert place.digest({"a": "1"}, {"b": 2}) == place.digest({"a": "1"}, {"b": 2})
    assert place.digest({"a": "1"}, {"b": 2}) != place.digest({"a": "1"}, {"b": 3})


def test_sites_of_other_owners_stay_and_own_ones_go_when_they_are_not_named() -> None:
    live = {"a": {"owner": "x", "domains": ["a.test"]}, "b": {"owner": "y", "domains": ["b.test"]}}
    merged, wrong = place.merge(live, {"c": {"domains": ["c.test"]}}, "x")
    assert wrong == []
    assert merged == {"b": live["b"], "c": {"owner": "x", "domains": ["c.test"]}}


def test_what_belongs_to_another_owner_is_refused() -> None:
    live = {"b": {"owner": "y", "domains": ["b.test"]}}
    assert place.merge(live, {"b": {"domains": ["z.test"]}}, "x")[1] == ["site b belongs to 'y', not to 'x'"]
    assert "served for site b" in place.merge(live, {"c": {"domains": ["b.test"]}}, "x")[1][0]


def test_ours_come_after_everybody_elses_where_that_exists() -> None:
    assert place.place(MAIN)[1] == "/etc/nginx/sites-enabled/zz-ferryman.conf"
    only = MAIN.replace("    include /etc/nginx/sites-enabled/*;\n", "").replace("/etc/nginx/conf.d", "conf.d")
    assert place.place(only) == ("conf.d/*.conf", "/etc/nginx/conf.d/zz-ferryman.conf")
    with pytest.raises(host.Problem, match=r"conf\.d"):
        place.place("events {}\nhttp {}\n")


def test_a_trial_reads_the_new_directory_in_place_of_the_live_one() -> None:
    tried = place.trial(MAIN, "/new")
    assert "include /new/*.conf;" in tried
    assert "include /etc/nginx/conf.d/*.conf;" in tried
    assert "include /etc/nginx/sites-enabled/*;" not in tried
    assert "ferryman" not in place.trial(MAIN, "")


TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
   2: 0100007F:01BB 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 13 1 0 100 0 0 10 0
"""


def test_listeners_are_read_from_the_kernels_table() -> None:
    assert listeners.sockets(TABLE, {80, 443}) == {"11": 80, "12": 443}
    assert listeners.sockets(TABLE, {443}) == {"12": 443}


def test_an_nginx_of_somebody_else_is_as_foreign_as_any_other() -> None:
    assert listeners.unit_of("0::/machine.slice/libpod-1.scope/system.slice/nginx.service\n") == "nginx.service"
    assert listeners.is_nginx(listeners.Listener(80, "nginx", 1, "nginx.service"))
    assert not listeners.is_nginx(listeners.Listener(80, "nginx", 1, "docker-1.scope"))
    assert (
        str(listeners.Listener(443, "apache2", 7, "apache2.service"))
        == "port 443: apache2 (process 7, apache2.service)"
    )


def test_a_file_is_replaced_only_when_it_is_another(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "file")
    assert place.write_file(path, "x", 0o644, pretend=True)
    assert place.write_file(path, "x", 0o755)
    assert not place.write_file(path, "x", 0o755)
    assert place.write_file(path, "x", 0o644)
    assert (tmp_path / "a" / "file").stat().st_mode & 0o7777 == 0o644


def test_a_generation_reads_back_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "GENERATIONS", str(tmp_path))
    files = {"00-common.conf": "# common\n", "demo.conf": f"return 200 {place.PLACEHOLDER};\n"}
    directory = place.write(files, {"format": 1, "sites": {"demo": {"owner": "x"}}})
    assert place.PLACEHOLDER not in (Path(directory) / "demo.conf").read_text()
    assert place.read(directory) == files
    assert host.sites(directory) == {"demo": {"owner": "x"}}
    place.prune(set())
    assert not list(tmp_path.iterdir())


def test_a_missing_certificate_has_no_fingerprint_and_is_not_usable(tmp_path: Path) -> None:
    assert host.fingerprint(str(tmp_path / "none.pem")) == ""
    assert not host.usable(str(tmp_path / "none.pem"), str(tmp_path / "none.key"))


def test_links_lead_to_the_certificate_as_soon_as_it_is_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "TLS", str(tmp_path / "tls"))
    wanted = {
        "demo": {"certificate": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem"), "domains": ["demo.test"]}
    }
    assert host.link_certificates(wanted) == ["demo"]
    placeholder = tmp_path / "tls" / ".placeholder"
    assert (tmp_path / "tls" / "demo").resolve() == placeholder
    assert host.link_certificates(wanted) == []
    for ours, theirs in (("certificate.pem", "c.pem"), ("key.pem", "k.pem")):
        (tmp_path / theirs).write_bytes((placeholder / ours).read_bytes())
    assert host.link_certificates(wanted) == ["demo"]
    assert host.fingerprint(str(tmp_path / "tls" / "demo" / "certificate.pem")) == host.fingerprint(
        str(tmp_path / "c.pem")
    )
    host.forget_certificates({})
    assert not (tmp_path / "tls" / "demo").is_symlink()
    assert hashlib.sha256((tmp_path / "c.pem").read_bytes()).digest()  # what it led to is not ours to remove


def test_resolvers_are_named_as_nginx_wants_them() -> None:
    text = "# of the host\nnameserver 10.0.0.2\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\nsearch test\n"
    assert host.nameservers(text) == ["10.0.0.2", "[2001:db8::1]"]


@pytest.mark.parametrize("responder", ["", "http://ocsp.test"])
def test_stapling_is_for_certificates_that_name_a_responder(tmp_path: Path, responder: str) -> None:
    more = ["-addext", f"authorityInfoAccess=OCSP;URI:{responder}"] if responder else []
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    done = host.run(*words, "-subj", "/CN=x", *more, "-keyout", f"{tmp_path}/k.pem", "-out", f"{tmp_path}/c.pem")
    assert done.returncode == 0, done.stderr
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.2\n")
    text = host.stapling(f"{tmp_path}/c.pem", f"{tmp_path}/resolv.conf")
    assert text == ("ssl_stapling on;\nresolver 10.0.0.2 valid=300s;\n" if responder else "")


FAR = {"blue": ["10.0.0.21:20000", "10.0.0.22:20000"], "green": ["10.0.0.21:20010", "10.0.0.22:20010"]}


def test_of_several_hosts_one_may_be_left_out_and_the_last_one_never_is() -> None:
    one, several = text(), text(site={"slots": FAR})
    assert "fail_timeout" not in one
    blue = several.partition("upstream ferryman_demo_app_blue {")[2].partition("}")[0]
    for address in FAR["blue"]:
        assert f"server {address} max_fails=3 fail_timeout=5s;" in blue
        assert f"server {address} max_fails=0 backup;" in blue
    for address in FAR["green"]:
        assert f"server {address} max_fails=0 backup;" in blue
    assert "zone ferryman_demo_app_blue" in blue


def test_a_challenge_that_is_not_here_is_asked_for_at_the_other_entries_and_by_them_at_nobody() -> None:
    assert "X-Ferryman-Peer" not in text()
    told = text(peers=["10.0.0.12", "2001:db8::12"])
    assert "server 10.0.0.12:80 max_fails=0;" in told
    assert "server [2001:db8::12]:80 max_fails=0;" in told
    asked = told.partition("location @ferryman_demo_app_peers {")[2].partition("}\n    location")[0]
    assert "if ($http_x_ferryman_peer) { return 404; }" in asked
    assert "proxy_set_header X-Ferryman-Peer 1;" in asked
