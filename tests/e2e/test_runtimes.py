"""One small seam, three runtimes: mere files, and a single program, are deployed like a Python application.

Requirements: REL-2.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.support.driving import Answer
from tests.support.foreign import commit
from tests.support.pages import blocks
from tests.support.site import ENV, Site

from ferryman import paths

pytestmark = pytest.mark.at_times(journey="files alone and one program, beside each other")
PAGE = paths.CHECKOUT / "docs" / "guides" / "several-apps.md"
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.lines]
FILES: dict[str, Any] = {
    "format": 1,
    "name": "pages",
    "runtime": {"kind": "static"},
    "build": {
        "commands": ["mkdir -p public", "sed s/TEXT/$(cat text)/ page.html > public/index.html"],
        "root": "public",
    },
}
PROGRAM = """\
#!/usr/bin/python3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"TEXT")
    def log_message(self, *words): pass
HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
SERVER: dict[str, Any] = {
    "format": 1,
    "name": "api",
    "runtime": {"kind": "binary"},
    "processes": {"web": {"kind": "web", "command": "./server {host} {port}", "health": {"path": "/"}}},
}


@pytest.fixture(scope="module")
def both(hosted: Site) -> Iterator[Site]:
    """The host with two more applications on it, beside the one that it serves."""
    apps = hosted.root / "inventories" / ENV / "group_vars" / "all" / "apps.yml"
    before = apps.read_text()
    commit(hosted.root / "pages", {"ferryman.yml": yaml.safe_dump(FILES), "page.html": "<p>TEXT</p>", "text": "one"})
    commit(hosted.root / "api", {"ferryman.yml": yaml.safe_dump(SERVER), "server": PROGRAM.replace("TEXT", "one")})
    apps.write_text(yaml.safe_dump({"apps": {**yaml.safe_load(before)["apps"], **told_by_the_guide()}}))
    typed(hosted, COMMANDS[0])
    yield hosted
    apps.write_text(before)


def told_by_the_guide() -> dict[str, Any]:
    """The guide's applications but its first, under names that lead here."""
    text = next(block.text for block in blocks(PAGE, "yaml") if block.file.endswith("apps.yml"))
    apps: dict[str, Any] = yaml.safe_load(text.replace(".example.org", ".localhost").replace("../", ""))["apps"]
    return {name: apps[name] for name in ("pages", "api")}


def typed(site: Site, line: str) -> None:
    """Type a line of the guide, for this environment instead of its own."""
    words = line.replace("--env prod", "").split()[1:]
    answer = site.run(*words, timeout_s=400)
    assert answer.code == 0, f"{line}\n{answer}"


def deploy(site: Site, app: str) -> None:
    answer = site.run("deploy", "--app", app)
    assert answer.code == 0, str(answer)


def shown(site: Site, app: str) -> str:
    status, text = replace(site, app=app).get("/")
    assert status == 200, text
    return text


def as_announced(site: Site, planned: Answer, commit: str) -> None:
    """A plan of the site of files alone named its one page, nothing to start, and what the deploy then made of it."""
    assert planned.code == 0, str(planned)
    told = planned.said
    assert {kind: [each["path"] for each in listed] for kind, listed in told["files"].items()} == {
        "added": [], "changed": ["index.html"], "removed": [],
    }  # fmt: skip
    assert not any((told["configuration"], told["secrets"], told["migrations"]["run"], told["refused"]))
    assert (told["wanted"]["commit"], told["wanted"]["environment_key"]) == (commit, "")
    release = site.ssh("readlink /srv/pages/current").rpartition("/")[2]
    made = json.loads(site.ssh(f"cat /srv/pages/releases/{release}/release.json"))
    assert {key: told["wanted"][key] for key in ("digest", "configuration")} == {
        key: made[key] for key in ("digest", "configuration")
    }
    lines = [json.loads(line) for line in site.ssh("cat /var/lib/ferryman/sites/pages/journal.jsonl").splitlines()]
    done = {line["step"]: line["detail"] for line in lines if (line["result"], line["release"]) == ("done", release)}
    assert "migrate" not in {*done, *(each["step"] for each in told["steps"])}
    staged = done["stage"]["sent_bytes"]
    assert told["sent_bytes"] == staged > 0
    assert site.run("plan", "--app", "pages").said["change"] is False


def test_a_site_of_files_alone_is_built_served_changed_and_brought_back(both: Site) -> None:
    deploy(both, "pages")
    assert shown(both, "pages") == "<p>one</p>"
    wanted = commit(both.root / "pages", {"text": "two"})
    planned = both.run("plan", "--app", "pages")
    deploy(both, "pages")
    assert shown(both, "pages") == "<p>two</p>"
    as_announced(both, planned, wanted)
    answer = both.run("rollback", "--app", "pages")
    assert answer.code == 0, str(answer)
    assert shown(both, "pages") == "<p>one</p>"


def test_a_build_that_fails_says_why_and_changes_nothing(both: Site) -> None:
    deploy(both, "pages")
    before = shown(both, "pages")
    broken = {**FILES, "build": {"commands": ["echo no such tool; exit 3"], "root": "public"}}
    commit(both.root / "pages", {"ferryman.yml": yaml.safe_dump(broken)})
    answer = both.run("deploy", "--app", "pages")
    assert (answer.code, answer.said["status"]) == (2, "failed"), str(answer)
    assert "no such tool" in answer.text
    assert shown(both, "pages") == before


def test_a_program_is_deployed_and_brought_back(both: Site) -> None:
    deploy(both, "api")
    assert shown(both, "api") == "one"
    commit(both.root / "api", {"server": PROGRAM.replace("TEXT", "two")})
    deploy(both, "api")
    assert shown(both, "api") == "two"
    answer = both.run("rollback", "--app", "api")
    assert answer.code == 0, str(answer)
    assert shown(both, "api") == "one"


def test_several_applications_of_one_host_do_not_touch_each_other(both: Site) -> None:
    before, page = both.arbiter()["shift"]["release_stable"], shown(both, "pages")
    commit(both.root / "pages", {"ferryman.yml": yaml.safe_dump(FILES), "text": "three"})
    commit(both.root / "api", {"server": PROGRAM.replace("TEXT", "three")})
    for line in COMMANDS[1:]:
        typed(both, line)
    assert (shown(both, "pages"), shown(both, "api")) == (page, "three")
    assert both.arbiter()["shift"]["release_stable"] == before
    assert both.get("/version")[0] == 200


def test_a_process_of_kind_once_is_run_when_asked_and_says_what_it_wrote(both: Site) -> None:
    once = {"kind": "once", "command": "echo counted to three"}
    told = {**SERVER, "processes": {**SERVER["processes"], "count": once}}
    commit(both.root / "api", {"ferryman.yml": yaml.safe_dump(told)})
    deploy(both, "api")
    answer = both.run("run", "count", "--app", "api")
    assert answer.code == 0, str(answer)
    assert answer.said["output"] == "counted to three\n"
    refused = both.run("run", "web", "--app", "api")
    assert refused.code == 1, str(refused)
    assert "it has count" in refused.said["hint"]
