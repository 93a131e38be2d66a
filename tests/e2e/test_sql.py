"""SQL migrations that would lock tables or break what is live: refused with all of it, and nothing was touched.

Requirements: REL-8.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.histories import good
from tests.support.prober import Prober
from tests.support.site import Site

pytestmark = pytest.mark.at_times(journey="SQL that is judged")

MIGRATIONS = {"command": "python tiny.py migrate", "sql": ["sql/*.sql"]}
OLD = "create table users (id bigint primary key, email text);\ndrop table long_ago;\n"
BAD = "create index users_email on users (email);\nalter table users add column age bigint not null;\n"
PLACES = "/srv /etc/ferryman /etc/systemd/system /var/backups"


@pytest.fixture
def repository(site: Site) -> Iterator[Path]:
    """The application's work tree; whoever comes later finds it without SQL."""
    place = site.repository.path
    described = (place / "ferryman.yml").read_text()
    yield place
    (place / "ferryman.yml").write_text(described)
    shutil.rmtree(place / "sql")
    site.good("without SQL again")


def write(repository: Path, name: str, text: str) -> None:
    """Write a migration into the work tree."""
    path = repository / "sql" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def everything(site: Site) -> str:
    """Every path in which a deploy leaves something, with its time, size and mode."""
    return site.ssh(f"find {PLACES} -printf '%p %T@ %s %m %l\\n' | sort")


def steps(site: Site) -> list[str]:
    """What the host was asked to do so far; `return` gives back the lock of a run that was refused."""
    return [line["step"] for line in site.journal() if line.get("step") not in (None, "return")]


def test_sql_that_locks_or_breaks_is_refused_with_all_of_it_and_nothing_is_touched(
    site: Site, repository: Path, prober: Prober
) -> None:
    before = site.served()
    write(repository, "0001.sql", OLD)
    answer = site.deploy(site.repository.commit(good("with SQL", migrations=MIGRATIONS)))
    assert answer.code != 0, "it takes the place of a release without it: its file is as new as any"
    assert "sql/0001.sql:2: ban-drop-table: Dropping a table may break existing clients." in answer.said["error"]
    write(repository, "0001.sql", f"-- squawk-ignore-file ban-drop-table\n{OLD}")
    live = site.good("with SQL that is meant")
    was, done = everything(site), steps(site)

    write(repository, "0002.sql", BAD)
    commit = site.repository.commit(good("with SQL that locks"))
    answer = site.deploy(commit)
    assert (answer.code, answer.said["status"]) == (1, "refused"), str(answer)
    assert "sql/0002.sql:1: require-concurrent-index-creation: " in answer.said["error"]
    assert "sql/0002.sql:2: adding-required-field: " in answer.said["error"]
    assert "sql/0001.sql" not in answer.said["error"]
    assert "Nothing was touched." in answer.said["error"]
    assert "`-- squawk-ignore RULE`" in answer.said["hint"]
    assert (everything(site), steps(site)) == (was, done)
    assert site.served() == live

    # Who only asks is told, too.
    plan = site.root / "plan.json"
    assert site.run("plan", "--app", site.app, "--ref", commit, "--out", str(plan), timeout_s=300).code == 0
    (refused,) = json.loads(plan.read_text())["refused"]
    assert "sql/0002.sql:2: adding-required-field: " in refused["reason"]
    checked = site.run("check", "--app", site.app)
    assert checked.code == 1, str(checked)
    assert {(Path(each["file"]).name, each["line"]) for each in checked.said["problems"]} == {
        ("0002.sql", 1),
        ("0002.sql", 2),
    }

    write(
        repository, "0002.sql", "-- squawk-ignore require-concurrent-index-creation\n" + BAD.split("\n", maxsplit=1)[0]
    )
    after = site.good("with SQL that is meant as well")
    prober.served_only(before, live, after)
