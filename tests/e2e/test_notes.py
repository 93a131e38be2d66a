"""The example application from its first deploy on: what people wrote in it, its schema, its worker, its secrets.

Requirements: REL-1, REL-6, REL-8, REL-10, SEC-1, HEALTH-1.
"""

import html
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Error, Page
from tests.support import processes
from tests.support.browser import chromium, explained
from tests.support.histories import (
    Version,
    crashes,
    dies,
    fails_later,
    good,
    migrates,
    migration_fails,
    never_ready,
    slow,
)
from tests.support.newcomer import DOMAIN, Newcomer

from ferryman import paths, variables
from ferryman.environments import Environment

UPLOAD = b"three little words\n" * 1000
DUMPS = "/var/backups/ferryman/notes"


@dataclass(frozen=True)
class Person:
    """Somebody with an account, a note and a file."""

    newcomer: Newcomer
    cookie: str
    file: int

    def finds_everything(self) -> None:
        """The account, the note and the file are there as they were."""
        ask = self.newcomer.ask
        assert json.loads(ask("GET", "/api/me", cookie=self.cookie).text) == {"name": "ada"}
        notes = json.loads(ask("GET", "/api/notes", cookie=self.cookie).text)
        assert [note["title"] for note in notes] == ["Written on the first release"]
        assert ask("GET", f"/api/media/{self.file}", cookie=self.cookie).body == UPLOAD


@pytest.fixture(scope="module")
def person(newcomer: Newcomer) -> Person:
    reply = newcomer.ask("POST", "/api/register", {"name": "ada", "password": "a long enough one"})
    assert reply.status == 201, reply.text
    cookie = reply.headers["set-cookie"].split(";")[0]
    note = {"title": "Written on the first release", "body": "and read on every other"}
    assert newcomer.ask("POST", "/api/notes", note, cookie=cookie).status in (200, 201)
    uploaded = newcomer.ask("POST", "/api/media?name=words.txt", UPLOAD, cookie=cookie)
    assert uploaded.status == 201, uploaded.text
    return Person(newcomer, cookie, int(json.loads(uploaded.text)["id"]))


def deploy(newcomer: Newcomer, *, ref: str = "", code: int = 0) -> dict[str, Any]:
    """Deploy what is committed and return the JSON."""
    return newcomer.type(f"./invoke deploy --json {ref and f'--ref {ref}'}", code=code).said


def eventually(good_at_last: Callable[[], bool], *, within_s: float = 20) -> bool:
    until = time.monotonic() + within_s
    while not good_at_last() and time.monotonic() < until:
        time.sleep(0.3)
    return good_at_last()


def test_https_is_for_clients_who_trust_the_sandboxs_authority(newcomer: Newcomer) -> None:
    reply = newcomer.ask("GET", "/")
    assert (reply.status, reply.headers["strict-transport-security"]) == (200, "max-age=86400")
    with pytest.raises(ssl.SSLCertVerificationError):
        newcomer.ask("GET", "/", context=ssl.create_default_context())


def test_http_leads_to_https_on_the_port_that_clients_see(newcomer: Newcomer) -> None:
    reply = newcomer.ask_in_clear("/a?b=c")
    assert (reply.status, reply.headers["location"]) == (301, f"https://{DOMAIN}:{newcomer.ports[8443]}/a?b=c")


def test_the_worker_has_looked_at_the_upload(newcomer: Newcomer, person: Person) -> None:
    def facts() -> Any:
        return json.loads(newcomer.ask("GET", "/api/media", cookie=person.cookie).text)[0]["facts"]

    assert eventually(lambda: facts() is not None)
    assert facts() == {"kind": "text", "lines": 1000, "words": 3000}


def test_what_people_wrote_survives_a_deploy_and_a_rollback(newcomer: Newcomer, person: Person) -> None:
    first = newcomer.served()
    newcomer.repository.commit(good("The second version"))
    said = deploy(newcomer)
    assert (said["status"], said["previous"], newcomer.served()) == ("live", first, said["release"])
    assert "The second version" in newcomer.ask("GET", "/").text
    person.finds_everything()
    assert newcomer.type("./invoke rollback --json").said["release"] == first == newcomer.served()
    assert "The second version" not in newcomer.ask("GET", "/").text
    person.finds_everything()


@pytest.mark.parametrize(
    ("unit", "down"),
    [("postgresql", {"database"}), ("nginx", {"entry", "frontend", "backend", "database"})],
)
def test_health_names_what_is_down_and_nothing_else(newcomer: Newcomer, unit: str, down: set[str]) -> None:
    def bad(code: int) -> set[str]:
        answers = newcomer.type("./invoke health --json", code=code).said["hosts"]["local1"]
        assert answers.keys() > {"entry", "frontend", "backend", "database"}
        return {name for name, each in answers.items() if not each["good"] and "@" not in name}

    assert bad(0) == set()
    newcomer.ssh(f"systemctl stop {unit} '{unit}@*'")
    try:
        assert bad(3) == down
    finally:
        newcomer.ssh(f"systemctl start {unit}")
    assert bad(0) == set()


@pytest.mark.at_times(journey="the example's steps and migrations")
def test_what_must_work_is_asked_in_a_deploy_and_alone(newcomer: Newcomer) -> None:
    newcomer.repository.commit(good("Verified"))
    said = deploy(newcomer)
    assert {vantage: (each["passed"], each["left_out"]) for vantage, each in said["verified"].items()} == {
        "slot": (3, 5), "entry": (8, 0),
    }  # fmt: skip
    report = Path(said["report"]).read_text(encoding="utf-8")
    for words in (
        said["release"], "is live", "3 steps passed at the slot, 5 left out", "8 steps passed through the entry",
        "All clients were moved at once.",
    ):  # fmt: skip
        assert words in report
    told = newcomer.type("./invoke verify --json").said
    results = {(where, each["vantage"]): each["result"] for where, listed in told["results"].items() for each in listed}
    assert results == {("local1", "slot"): "left out", ("local1", "entry"): "passed", ("driver", "driver"): "passed"}


def test_the_nightly_job_waits_in_the_slot_that_serves_and_in_no_other(newcomer: Newcomer) -> None:
    slot = json.loads(newcomer.ask("GET", "/.well-known/ferryman/slot").text)["slot"]
    timers = "systemctl list-units --plain --no-legend --state=active 'notes-cleanup@*.timer'"
    assert [line.split()[0] for line in newcomer.ssh(timers).splitlines()] == [f"notes-cleanup@{slot}-1.timer"]
    workers = "systemctl list-units --plain --no-legend --state=active 'notes-worker@*.service'"
    assert [line.split()[0] for line in newcomer.ssh(workers).splitlines()] == [f"notes-worker@{slot}-1.service"]


@pytest.mark.at_times(journey="the example's steps and migrations")
def test_a_migration_has_a_dump_that_restores_and_a_way_back_that_must_be_asked_for(
    newcomer: Newcomer, person: Person
) -> None:
    before = newcomer.served()
    newcomer.repository.commit(migrates("With another column"))
    said = deploy(newcomer)
    assert said["restore_point"].startswith(f"{DUMPS}/"), said
    (line,) = [line for line in history(newcomer) if line["release"] == said["release"]]
    assert line["restore_point"] == said["restore_point"]
    assert line["schema_before"] != line["schema_after"]
    assert "TABLE DATA public notes notes" in newcomer.ssh(f"pg_restore --list {said['restore_point']}")
    person.finds_everything()
    refused = newcomer.type("./invoke rollback", code=1)
    assert "the database is at schema" in refused.err
    assert "--accept-schema" in refused.err
    assert newcomer.served() == said["release"]
    assert newcomer.type("./invoke rollback --accept-schema --json").said["release"] == before
    person.finds_everything()


def history(newcomer: Newcomer) -> list[dict[str, Any]]:
    """Return the ledger's story as `releases --json` tells it."""
    hosts = newcomer.type("./invoke releases --json").said["hosts"].values()
    return next(seen["history"] for seen in hosts if "history" in seen)


@pytest.mark.at_times(journey="the example's steps and migrations")
def test_a_migration_that_fails_leaves_the_old_release_serving_and_says_so(newcomer: Newcomer, person: Person) -> None:
    before = newcomer.served()
    newcomer.repository.commit(migration_fails())
    answer = newcomer.type("./invoke deploy", code=2)
    assert "the migration failed" in answer.err
    assert "the schema is left as it was" in answer.err
    assert 'relation "a_table_that_is_not_there" does not exist' in answer.err
    assert "the release that served before still serves" in answer.err
    assert newcomer.served() == before
    person.finds_everything()


@contextmanager
def reading(newcomer: Newcomer) -> Iterator[None]:
    """Have somebody read the notes in a transaction that does not end: no column can be added meanwhile."""
    script = "begin; lock table notes in access share mode; select pg_sleep(120)"
    unit = "systemd-run --quiet --collect --setenv=PGAPPNAME=a-long-report --uid=postgres"
    newcomer.ssh(f"{unit} psql -d notes -c {shlex.quote(script)}")
    readers = "from pg_stat_activity where application_name = 'a-long-report'"

    def asked(what: str) -> str:
        return newcomer.ssh(f"cd /; sudo -u postgres psql -d notes -Atc {shlex.quote(f'select {what} {readers}')}")

    assert eventually(lambda: asked("wait_event") == "PgSleep")
    try:
        yield
    finally:
        asked("pg_terminate_backend(pid)")  # a backend that sleeps does not see that its client has gone
        assert eventually(lambda: asked("count(*)") == "0")


@pytest.mark.at_times(journey="the example's steps and migrations")
def test_a_migration_that_waits_for_somebodys_lock_is_given_up_before_clients_wait_for_it(
    newcomer: Newcomer, person: Person
) -> None:
    before = newcomer.served()
    newcomer.repository.commit(migrates("With a column that must wait"))
    over, slowest = threading.Event(), [0.0]

    def read() -> None:
        while not over.is_set():
            began = time.monotonic()
            person.finds_everything()
            slowest.append(time.monotonic() - began)

    with reading(newcomer), ThreadPoolExecutor(1) as pool:
        reader = pool.submit(read)
        try:
            told = newcomer.type("./invoke deploy --json", code=2).said
        finally:
            over.set()
    reader.result()
    assert "lock timeout" in "\n".join([told["reason"], *told["evidence"]]), told
    assert newcomer.served() == before
    assert len(slowest) > 10
    assert max(slowest) < 5 + 5, "a statement waits five seconds for a lock, and behind it whoever reads"
    again = deploy(newcomer)
    assert (again["status"], newcomer.served()) == ("live", again["release"])
    person.finds_everything()


@contextmanager
def settings(newcomer: Newcomer, **values: float) -> Iterator[None]:
    """Give the clone's `local` other settings of a release for a while."""
    path = newcomer.root / "inventories" / "local" / "group_vars" / "all" / "release.yml"
    before = path.read_text()
    path.write_text(yaml.safe_dump({**yaml.safe_load(before), **values}))
    try:
        yield
    finally:
        path.write_text(before)


NOT_READY = "not ready"


@pytest.mark.at_times(journey="the example's bad versions")
@pytest.mark.parametrize(
    ("version", "said"),
    [
        (crashes(), "no such thing as a flux capacitor"),
        (never_ready(), NOT_READY),
        (dies(6), "notes was healthy and is now dead"),
        (fails_later(6), "this version answers 500 after a while"),
    ],
    ids=["crashes at start", "never gets ready", "is healthy first, then dead", "answers 500 after a while"],
)
def test_a_bad_version_of_the_example_is_left_again_and_its_own_words_say_why(
    newcomer: Newcomer, person: Person, version: Version, said: str
) -> None:
    before = newcomer.served()
    newcomer.repository.commit(version)
    waits = {"release_start_timeout_s": 10} if said == NOT_READY else {}  # the others show what they do
    with settings(newcomer, release_watch_s=15, **waits):
        told = newcomer.type("./invoke deploy --json", code=2).said
    assert said in "\n".join([told["reason"], *told["evidence"]]), told
    assert said in html.unescape(Path(told["report"]).read_text(encoding="utf-8"))
    assert newcomer.served() == before
    person.finds_everything()
    (line,) = (line for line in history(newcomer) if line["release"] == told["release"])
    assert (line["status"], line["good"]) == (told["status"], False)


@pytest.mark.at_times(journey="the example's bad versions")
def test_the_example_may_start_slowly_within_its_time(newcomer: Newcomer, person: Person) -> None:
    newcomer.repository.commit(slow(4, "Started slowly"))
    assert deploy(newcomer)["status"] == "live"
    assert "Started slowly" in newcomer.ask("GET", "/").text
    person.finds_everything()


# Without the package


def test_a_playbook_alone_does_the_same_deploy(newcomer: Newcomer, tmp_path: Path) -> None:
    newcomer.repository.commit(good("Deployed by ansible-playbook alone"))
    python = without_package(tmp_path)
    playbook: list[Any] = [python, "-m", "ansible", "playbook", "-i", newcomer.root / "inventories" / "local"]
    key = newcomer.root / ".ferryman" / "vault" / "local.key"
    hidden = ("ANSIBLE_", "PYTHON", "FERRYMAN_", "MOLECULE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(newcomer.root / ".ansible" / "collections")
    done = subprocess.run(
        [*playbook, "--vault-id", f"local@{key}", "-vvv", "ferryman.ops.release_deploy"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    newcomer.heard += [done.stdout, done.stderr]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deployed by ansible-playbook alone" in newcomer.ask("GET", "/").text
    assert newcomer.type("./invoke deploy --json").said["status"] == "unchanged"


def without_package(directory: Path) -> Path:
    """Return a Python that has Ansible and not the package: the same libraries, without the line that leads to it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "plain"], check=True, timeout=60)
    python = directory / "plain" / "bin" / "python"
    library = next((directory / "plain" / "lib").glob("python*/site-packages"))
    libraries = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (library / "ansible.pth").write_text(f"{libraries}\n")  # its own .pth files are not read from there
    words: list[Any] = [
        python,
        "-I",
        "-c",
        "import ansible, importlib.util; print(importlib.util.find_spec('ferryman'))",
    ]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "None\n"
    return python


def test_answers_have_every_key_that_the_guide_to_pipelines_names(newcomer: Newcomer) -> None:
    text = (paths.CHECKOUT / "docs" / "guides" / "pipeline.md").read_text()
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", text, re.MULTILINE)
    sometimes = (
        "failure",
        "of a run that was left",
        "before a migration",
        "with steps",
        "with stages",
        "that was begun",
        "with the database",
        "of one that waited",
        "a hotfix",
        "migrations.sql",
        "code is 3",
        "had changed its hosts",
    )
    named = {kind: {name for names, meaning in rows if kind in meaning for name in re.findall(r"`(\w+)`", names)}
             for kind in ("", *sometimes)}  # fmt: skip
    always = named[""].difference(*(named[kind] for kind in sometimes))
    assert all([always, *named.values()])
    assert always <= set(deploy(newcomer))
    refused = deploy(newcomer, ref="v0.0.0", code=1)
    assert always | named["failure"] <= set(refused)
    assert (refused["status"], refused["code"]) == ("refused", 1)


# As a person sees it


@pytest.fixture
def browser_home(newcomer: Newcomer, tmp_path: Path) -> Path:
    """A home directory whose certificate store knows the sandbox's authority."""
    store = tmp_path / ".pki" / "nssdb"
    store.mkdir(parents=True)
    ca = newcomer.root / ".ferryman" / "sandbox" / newcomer.name / "ca.pem"
    subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
    subprocess.run(["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", "sandbox", "-i", ca], check=True)
    return tmp_path


def page_of(home: Path) -> Iterator[Page]:
    with chromium(home) as browser:
        yield browser.new_page(viewport={"width": 1100, "height": 760})


@pytest.mark.picture
def test_a_browser_shows_the_page_to_who_logs_in(newcomer: Newcomer, person: Person, browser_home: Path) -> None:
    for page in page_of(browser_home):
        with explained(page):
            page.goto(f"https://{DOMAIN}:{newcomer.ports[8443]}/")
            page.fill("[name=name]", "ada")
            page.fill("[name=password]", "a long enough one")
            page.click("button[value=login]")
            page.get_by_text("Written on the first release").wait_for()
            page.get_by_text("words.txt").wait_for()
        assert newcomer.served() in page.inner_text("body")
        pictures = paths.state_directory(paths.CHECKOUT) / "pictures"
        pictures.mkdir(exist_ok=True)
        page.screenshot(path=pictures / "notes.png")


def test_a_browser_that_does_not_know_the_authority_refuses(newcomer: Newcomer, tmp_path: Path) -> None:
    for page in page_of(tmp_path):
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(f"https://{DOMAIN}:{newcomer.ports[8443]}/")


# Secrets


class Arguments(threading.Thread):
    """Reads the arguments of every process of this machine, its containers' too, again and again."""

    def __init__(self, secret: str) -> None:
        super().__init__(daemon=True)
        self.secret, self.over, self.read, self.found = secret.encode(), threading.Event(), 0, set[str]()

    def run(self) -> None:
        while not self.over.wait(0.05):
            for place in processes.every():
                try:
                    words = (place / "cmdline").read_bytes()
                except OSError:
                    continue
                self.read += 1
                if self.secret in words:
                    self.found.add(words.split(b"\0")[0].decode(errors="replace"))


def test_the_databases_password_is_where_it_must_be_and_nowhere_else(newcomer: Newcomer) -> None:
    """Last of this page: it searches what all the commands before it left and said, too."""
    local = Environment("local", newcomer.root / "inventories" / "local")
    key = newcomer.root / ".ferryman" / "vault" / "local.key"
    told = variables.load(local, vault_ids=[f"local@{key}"])
    secret = str(told.value("local1", "vault_notes_database_password"))
    assert len(secret) > 30
    watch = Arguments(secret)
    watch.start()
    newcomer.repository.commit(migrates("Deployed under watch"))
    said = deploy(newcomer)
    watch.over.set()
    watch.join()
    assert watch.read > 1000
    assert watch.found == set()
    assert secret not in json.dumps(said)
    assert not [heard[:200] for heard in newcomer.heard if secret in heard]
    here = [newcomer.root, Path.home() / ".ansible"]
    assert not [path for place in here for path in files(place) if holds(path, secret)]
    places = "/srv /etc /var/lib/ferryman /var/log /var/backups /usr/local /run/systemd /run/log /home /root /tmp"
    search = f"grep -rlF -D skip -f - {places} 2>/dev/null || :"
    assert newcomer.ssh(search, given=secret).splitlines() == ["/etc/ferryman/sites/notes/secrets/DATABASE_URL"]
    newcomer.ssh("journalctl --no-pager -o cat > /tmp/journal")
    assert newcomer.ssh("grep -cF -f - /tmp/journal; rm /tmp/journal", given=secret) == "0"


def files(place: Path) -> Iterator[Path]:
    """Every plain file below a place; what is linked to lies elsewhere. Others' runs come and go there meanwhile."""
    for directory, _, names in os.walk(place):
        for name in names:
            if (path := Path(directory, name)).is_file() and not path.is_symlink():
                yield path


def holds(path: Path, secret: str) -> bool:
    with suppress(FileNotFoundError):
        return secret.encode() in path.read_bytes()
    return False
