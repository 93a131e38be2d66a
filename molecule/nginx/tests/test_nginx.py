"""The entry as its clients see it: every promise of the role, asked of a real nginx.

Requirements: CERT-1, REL-15, HEALTH-1.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

SITES = "/var/lib/ferryman/sites"
SHARE = f"{SITES}/demo-app"
LOG = "/var/log/nginx/ferryman/demo-app.access.json"
# Answers with the port it listens on and with what it was sent; closes idle connections after 5 s, as uvicorn does.
APPLICATION = """
import http.server, json, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps({"port": int(sys.argv[1]), "headers": dict(self.headers)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Release", "r" + sys.argv[1])
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def start(host: Any, port: int) -> None:
    host.run(f"systemctl reset-failed demo-{port}")
    host.check_output(f"systemd-run --unit=demo-{port} /usr/bin/python3 /opt/demo.py {port}")
    host.check_output(f"for i in $(seq 100); do curl -so /dev/null 127.0.0.1:{port} && exit 0; sleep 0.1; done; exit 1")


def stop(host: Any, port: int) -> None:
    host.run(f"systemctl stop demo-{port}")


@pytest.fixture(scope="module", autouse=True)
def _application(host: Any) -> Iterator[None]:
    host.check_output(f"cat > /opt/demo.py <<'END'\n{APPLICATION}\nEND")
    for port in (20000, 20001, 20010):
        stop(host, port)
        start(host, port)
    yield
    for port in (20000, 20001, 20010):
        stop(host, port)


@pytest.fixture(autouse=True)
def _blue_for_all(host: Any) -> None:
    """Each test begins with everybody on blue."""
    host.check_output(
        f"cd {SHARE} && rm -f partial maintenance && for n in 0 25 50 100; do mkdir -p sets/$n; "
        "for i in $(seq 0 $((n - 1))); do touch sets/$n/$(printf %02d $i); done; done"
    )
    share(host, 0)


def share(host: Any, percent: int) -> None:
    host.check_output(f"cd {SHARE} && ln -s sets/{percent} share.new && mv -T share.new share")


def curl(
    host: Any, path: str = "/", *, name: str = "demo.test", options: str = "", scheme: str = "https"
) -> tuple[int, dict[str, str], str]:
    """Return status, headers (names in lower case) and body."""
    port = {"https": 443, "http": 80}[scheme]
    text = host.check_output(
        f"curl -ksi --http1.1 --resolve '{name}:{port}:127.0.0.1' {options} '{scheme}://{name}{path}'"
    )
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    if head.endswith("100 Continue"):
        head, _, body = body.partition("\n\n")
    first, *lines = head.splitlines()
    return int(first.split()[1]), {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}, body


def log_line(host: Any, request_id: str) -> dict[str, Any]:
    """Return the log's line of a request; nginx writes it when the answer has gone out."""
    for _ in range(20):
        found = host.run(f"grep -F '\"{request_id}\"' {LOG}").stdout.splitlines()
        if found:
            line: dict[str, Any] = json.loads(found[-1])
            return line
        time.sleep(0.1)
    raise AssertionError(f"{request_id} is not in {LOG}")


def workers(host: Any) -> str:
    return str(host.check_output("pgrep -P $(cat /run/nginx.pid) | sort | tr '\\n' ' '"))


def test_nginx_runs_now_and_after_a_boot(host: Any) -> None:
    assert host.service("nginx").is_running
    assert host.service("nginx").is_enabled


def test_plain_http_leads_to_https_and_keeps_the_public_port(host: Any) -> None:
    status, headers, _ = curl(host, "/a?b=c", scheme="http")
    assert (status, headers["location"]) == (301, "https://demo.test:8443/a?b=c")


def test_acme_challenges_are_answered_on_plain_http(host: Any) -> None:
    directory = "/var/lib/ferryman/acme/.well-known/acme-challenge"
    host.check_output(f"mkdir -p {directory} && echo proof > {directory}/token")
    assert curl(host, "/.well-known/acme-challenge/token", scheme="http")[::2] == (200, "proof")
    assert curl(host, "/.well-known/acme-challenge/other", scheme="http")[0] == 404


def test_hsts_starts_at_one_day_without_subdomains(host: Any) -> None:
    assert curl(host)[1]["strict-transport-security"] == "max-age=86400"


def test_security_headers_are_there_and_those_of_the_application_win(host: Any) -> None:
    _, headers, _ = curl(host)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "nginx/" not in headers["server"]


@pytest.mark.parametrize(
    ("version", "accepted"), [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)]
)
def test_only_modern_tls_is_spoken(host: Any, version: str, accepted: bool) -> None:
    # Security level 0, or the client itself would refuse what the server is asked for.
    words = f"openssl s_client -connect 127.0.0.1:443 -servername demo.test -{version} -cipher DEFAULT@SECLEVEL=0"
    assert (host.run(f"{words} </dev/null").rc == 0) is accepted


def test_http2_is_spoken(host: Any) -> None:
    words = "curl -ks --http2 -o /dev/null -w '%{http_version}' --resolve demo.test:443:127.0.0.1 https://demo.test/"
    assert host.check_output(words) == "2"


def test_ipv6_is_served(host: Any) -> None:
    words = "curl -ks -o /dev/null -w '%{http_code}' --resolve 'demo.test:443:[::1]' https://demo.test/"
    assert host.check_output(words) == "200"


def test_a_name_that_is_nobodys_gets_no_certificate(host: Any) -> None:
    done = host.run("curl -ks --resolve other.test:443:127.0.0.1 https://other.test/")
    assert done.rc == 35, done


def test_the_application_learns_who_asks_and_under_which_name(host: Any) -> None:
    sent = json.loads(curl(host, options="-H 'X-Forwarded-For: 192.0.2.1' -H 'X-Request-Id: made-up-id-1'")[2])[
        "headers"
    ]
    assert sent["Host"] == "demo.test:8443"
    assert (sent["X-Forwarded-Proto"], sent["X-Forwarded-Port"]) == ("https", "8443")
    assert (sent["X-Forwarded-For"], sent["X-Real-IP"]) == ("127.0.0.1", "127.0.0.1")
    assert sent["X-Request-Id"] == "made-up-id-1"


def test_only_a_trusted_proxy_is_believed_about_the_address(host: Any) -> None:
    options = "-H 'X-Forwarded-For: 192.0.2.1' -H 'X-Request-Id: behind-a-proxy' --interface 127.0.0.2"
    assert json.loads(curl(host, options=options)[2])["headers"]["X-Forwarded-For"] == "192.0.2.1"
    assert log_line(host, "behind-a-proxy")["remote_addr"] == "192.0.2.1"


def test_the_log_is_json_and_says_what_happened(host: Any) -> None:
    status, headers, _ = curl(
        host, '/pa%22th?secret="x', options="-A 'a \"quoted\" agent' -H 'X-Request-Id: log-test-1'"
    )
    line = log_line(host, headers["x-request-id"])
    assert (line["status"], line["method"], line["path"]) == (status, "GET", "/pa%22th")
    assert (line["site"], line["arm"], line["release"]) == (
        "demo-app",
        "blue",
        "r" + line["upstream"].rpartition(":")[2],
    )
    assert line["upstream_status"] == 200
    assert min(line["request_s"], line["upstream_s"]) >= 0
    assert line["user_agent"] == 'a "quoted" agent'
    assert re.fullmatch(r"[0-9]{2}", line["bucket"])
    assert "secret" not in json.dumps(line)


def test_a_redirect_is_logged_too_and_all_lines_are_json(host: Any) -> None:
    curl(host, scheme="http", options="-H 'X-Request-Id: redirect-test'")
    assert log_line(host, "redirect-test")["upstream_status"] is None
    for line in host.check_output(f"cat {LOG}").splitlines():
        json.loads(line)


def test_a_request_without_an_id_is_given_one_and_a_bad_one_is_replaced(host: Any) -> None:
    assert re.fullmatch("[0-9a-f]{32}", curl(host)[1]["x-request-id"])
    assert re.fullmatch("[0-9a-f]{32}", curl(host, options="-H 'X-Request-Id: \"; drop'")[1]["x-request-id"])


def test_a_share_moves_clients_without_a_reload(host: Any) -> None:
    before = workers(host)
    for percent, ports in ((0, {20000, 20001}), (100, {20010}), (0, {20000, 20001})):
        share(host, percent)
        assert {json.loads(curl(host)[2])["port"] for _ in range(4)} <= ports
    assert workers(host) == before


def test_buckets_below_the_share_go_to_green_and_the_slot_endpoint_agrees(host: Any) -> None:
    share(host, 25)
    for bucket, slot, ports in (
        ("00", "green", {20010}),
        ("24", "green", {20010}),
        ("25", "blue", {20000, 20001}),
        ("99", "blue", {20000, 20001}),
    ):
        cookie = f"-b ferryman_demo_app_bucket={bucket}"
        assert json.loads(curl(host, "/.well-known/ferryman/slot", options=cookie)[2]) == {
            "site": "demo-app",
            "slot": slot,
            "bucket": bucket,
        }
        assert json.loads(curl(host, options=cookie)[2])["port"] in ports


def test_a_client_without_a_cookie_stays_where_its_first_answer_came_from(host: Any) -> None:
    share(host, 50)
    host.check_output(f"touch {SHARE}/partial")
    for address in ("127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"):
        _, headers, body = curl(host, options=f"--interface {address}")
        cookie = re.match(
            r"(ferryman_demo_app_bucket=[0-9]{2}); Path=/; Max-Age=86400; Secure; HttpOnly; SameSite=Lax$",
            headers["set-cookie"],
        )
        assert cookie
        # Another address now, as a phone that leaves the house.
        _, headers, again = curl(host, options=f"--interface 127.0.0.9 -b {cookie.group(1)}")
        assert "set-cookie" not in headers
        assert (json.loads(body)["port"] == 20010) == (json.loads(again)["port"] == 20010)


def test_clients_are_spread_over_the_buckets(host: Any) -> None:
    words = (
        "for i in $(seq 2 201); do curl -ks --interface 127.0.1.$i --resolve demo.test:443:127.0.0.1 "
        "https://demo.test/.well-known/ferryman/slot; echo; done"
    )
    buckets = {json.loads(line)["bucket"] for line in host.check_output(words).splitlines()}
    assert len(buckets) > 60  # 200 draws from 100 leave about 86 different ones


def test_addresses_of_one_ipv6_network_are_one_client(host: Any) -> None:
    host.check_output(
        "for i in 1 2 3; do for a in 1:: $i:a:b:c:; do ip addr add 2001:db8:1:$a$i/128 dev lo nodad; done; done; true"
    )
    try:
        seen = {}
        for address in [f"2001:db8:1:1::{i}" for i in (1, 2, 3)] + [f"2001:db8:1:{i}:a:b:c:{i}" for i in (1, 2, 3)]:
            words = f"curl -ks -6 --interface {address} --resolve 'demo.test:443:[2001:db8:1:1::1]'"
            seen[address] = json.loads(host.check_output(f"{words} https://demo.test/.well-known/ferryman/slot"))[
                "bucket"
            ]
        assert len({seen[f"2001:db8:1:1::{i}"] for i in (1, 2, 3)} | {seen["2001:db8:1:1:a:b:c:1"]}) == 1
        assert len(set(seen.values())) > 1
    finally:
        host.run("for i in 1 2 3; do for a in 1:: $i:a:b:c:; do ip addr del 2001:db8:1:$a$i/128 dev lo; done; done")


def test_no_cookie_is_set_outside_a_partial_share(host: Any) -> None:
    assert "set-cookie" not in curl(host)[1]


def test_a_cookie_that_is_no_bucket_is_replaced(host: Any) -> None:
    host.check_output(f"touch {SHARE}/partial")
    for value in ("100", "../../etc", "5", "x"):
        assert "set-cookie" in curl(host, options=f"-b ferryman_demo_app_bucket={value}")[1]


def test_a_missing_share_means_blue(host: Any) -> None:
    host.check_output(f"rm {SHARE}/share")
    assert json.loads(curl(host)[2])["port"] != 20010


def test_a_dead_slot_is_stood_in_for_and_the_log_names_the_arm_that_was_meant(host: Any) -> None:
    for port in (20000, 20001):
        stop(host, port)
    try:
        for number in range(5):  # again and again: no slot is ever counted out
            status, headers, body = curl(host, options=f"-H 'X-Request-Id: failover-{number}'")
            assert (status, json.loads(body)["port"]) == (200, 20010)
            line = log_line(host, headers["x-request-id"])
            assert (line["arm"], line["upstream_status"], line["status"]) == ("blue", 502, 200)
    finally:
        for port in (20000, 20001):
            start(host, port)
    assert json.loads(curl(host)[2])["port"] in {20000, 20001}


def test_with_both_slots_dead_people_get_a_page_and_the_log_the_arm(host: Any) -> None:
    share(host, 100)
    for port in (20000, 20001, 20010):
        stop(host, port)
    try:
        for method in ("GET", "POST"):
            status, headers, body = curl(host, options=f"-X {method} -H 'X-Request-Id: both-dead-{method}'")
            assert (status, headers["retry-after"]) == (502, "5")
            assert "Temporarily unavailable" in body
            line = log_line(host, f"both-dead-{method}")
            assert (line["arm"], line["level"]) == ("green", "error")
    finally:
        for port in (20000, 20001, 20010):
            start(host, port)


def test_maintenance_is_a_file_and_needs_no_reload(host: Any) -> None:
    before = workers(host)
    host.check_output(f"touch {SHARE}/maintenance")
    for options in ("", "-X POST -d x=1"):
        status, headers, body = curl(host, "/any/where", options=options)
        assert (status, headers["retry-after"]) == (503, "120")
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "Down for maintenance" in body
        assert headers["strict-transport-security"]
    assert curl(host, "/.well-known/ferryman/health")[0] == 200
    assert curl(host, "/.well-known/acme-challenge/none", scheme="http")[0] == 404
    host.check_output(f"rm {SHARE}/maintenance")
    assert curl(host)[0] == 200
    assert workers(host) == before


def test_a_body_above_the_limit_is_refused(host: Any) -> None:
    host.check_output("head -c 2000000 /dev/zero > /tmp/big")
    assert curl(host, options="-X POST --data-binary @/tmp/big")[0] == 413


def test_websockets_pass(host: Any) -> None:
    sent = json.loads(curl(host, options="-H 'Connection: Upgrade' -H 'Upgrade: websocket'")[2])["headers"]
    assert (sent["Upgrade"], sent["Connection"]) == ("websocket", "upgrade")


def test_a_static_release_is_served_from_its_slot_and_names_itself(host: Any) -> None:
    host.check_output(
        "mkdir -p /srv/files/slots && cd /srv/files/slots && for r in old new; do mkdir -p ../releases/$r/app; "
        "echo $r > ../releases/$r/app/index.html; echo x > ../releases/$r/app/.env; done; "
        "ln -sfn ../releases/old blue; ln -sfn ../releases/new green"
    )
    status, headers, body = curl(host, name="files.test")
    assert (status, body, headers["x-release"]) == (200, "old", "old")
    assert curl(host, "/.env", name="files.test")[0] == 404
    # The link alone decides: nothing is remembered, nothing reloaded.
    host.check_output("ln -sfn ../releases/new /srv/files/slots/blue")
    assert curl(host, name="files.test")[1]["x-release"] == "new"


def test_a_plain_application_and_plain_files_need_no_slots(host: Any) -> None:
    assert json.loads(curl(host, name="plain.test")[2])["port"] == 20000
    host.check_output("mkdir -p /srv/pages && echo home > /srv/pages/index.html")
    assert curl(host, name="pages.test")[2] == "home"
    assert curl(host, "/app/view", name="sub.pages.test")[2] == "home"


def test_logs_are_rotated_by_rename_and_reopen(host: Any) -> None:
    curl(host, options="-H 'X-Request-Id: before-rotation'")
    host.check_output("logrotate -f /etc/logrotate.d/ferryman-nginx")
    curl(host, options="-H 'X-Request-Id: after-rotation'")
    assert log_line(host, "after-rotation")["status"] == 200
    assert host.run(f"grep -q before-rotation {LOG}.1").rc == 0
    assert "    maxage 14" in host.file("/etc/logrotate.d/ferryman-nginx").content_string.splitlines()
