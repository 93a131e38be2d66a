"""What role data promises, on a real server, with people who do not exist.

Requirements: ENV-6.
"""

import base64
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[3] / ".ansible" / "collections"))
from ansible_collections.ferryman.ops.plugins.module_utils.data import copytext
from tests.support import persons

testinfra_hosts = ["ansible://host"]

HERE = Path(__file__).parents[1]
PROOF = "/var/lib/ferryman/data/crowd.json"
PLAIN = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}
SEED = 20261126
COUNT = 400
SCHEMA = """
drop schema public cascade; create schema public;
create table people (id int primary key, email text unique not null, phone varchar(40), name text, username text unique,
  address text, birth_date text, born_on date, iban text, card text, ssn text, ip inet, mac macaddr, coordinates text,
  photo bytea, password_hash text, active boolean default true,
  name_length int generated always as (length(name)) stored);
create table letters (id serial primary key, person int references people, to_email text references people (email),
  body text, extra jsonb, draft text);
create table events (at timestamptz not null, username text, amount numeric) partition by range (at);
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create materialized view known as select email, name from people;
create function guard() returns trigger language plpgsql as $$ begin raise exception 'a trigger ran'; end $$;
create trigger guard before update on people for each row execute function guard();
"""
PEOPLE = """id, email, phone, name, username, address, birth_date, born_on, iban, card, ssn, ip, mac, coordinates,
password_hash"""


def psql(host, script, database="crowd"):
    """Run SQL and return what it says; a long one goes in parts, since a word of a command has a limit."""
    code = base64.b64encode(script.encode()).decode()
    host.run_test(": > /tmp/script.b64")
    for place in range(0, len(code), 100_000):
        host.run_test(f"echo {code[place : place + 100_000]} >> /tmp/script.b64")
    sql = f"psql -XqAt -v ON_ERROR_STOP=1 -d {database}"
    done = host.run(f"base64 -d /tmp/script.b64 | runuser -u postgres -- {sql}")
    assert done.rc == 0, done.stderr
    return done.stdout


def play(name="mask", **values):
    """Run an entry as a stranger's playbook does."""
    argv = [
        "ansible-playbook",
        "-i",
        os.environ["MOLECULE_INVENTORY_FILE"],
        str(HERE / f"{name}.yml"),
        "-e",
        json.dumps(values),
    ]
    return subprocess.run(
        argv, env=PLAIN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300
    )


def rules():
    return yaml.safe_load((HERE / "mask.yml").read_text())[0]["tasks"][0]["vars"]["data_columns"]


@pytest.fixture(scope="module")
def crowd():
    rng = random.Random(SEED)
    return [persons.person(rng, number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def letters(crowd):
    rng = random.Random(SEED + 1)
    found = []
    for _ in range(3 * COUNT):
        number = rng.randrange(COUNT)
        found.append((number, *persons.text(rng, crowd[number])))
    return found


TOLD = ("email", "phone", "name", "username", "address", "birth_date", "birth_date", "iban", "card", "ssn", "ip", "mac",
        "coordinates")  # fmt: skip


def filled(crowd, letters):
    """Return the SQL that makes the tables and fills them; birth dates stand as text and as a date."""
    people, written, events = "", "", ""
    for number, values in enumerate(who.values for who in crowd):
        people += copytext.line([str(number), *(values[kind] for kind in TOLD), f"$argon2id${number}"])
        events += copytext.line(["2026-05-05 10:00:00+00", values["username"], "1.50"])
    for number, text, _ in letters:
        values = crowd[number].values
        extra = json.dumps({"note": text, "cc": [values["email"]], "n": 1})
        written += copytext.line([str(number), values["email"], text, extra, f"Dear {values['name']}!"])
    return (
        f"{SCHEMA}copy people ({PEOPLE}) from stdin;\n{people}\\.\n"
        f"copy letters (person, to_email, body, extra, draft) from stdin;\n{written}\\.\n"
        f"copy events from stdin;\n{events}\\.\nrefresh materialized view known; analyze;\n"
    )


@pytest.fixture(scope="module")
def masked(host, crowd, letters):
    """The database, masked; what came of it."""
    psql(host, filled(crowd, letters))
    done = play()
    assert done.returncode == 0, done.stdout[-3000:]
    return done


def test_a_column_without_a_rule_is_refused_by_name_and_nothing_changes(host, crowd, letters):
    psql(host, filled(crowd[:20], [each for each in letters if each[0] < 20]))
    before = psql(host, "select md5(string_agg(p::text, '|' order by id)) from people p")
    some = {
        name: rule for name, rule in rules().items() if name not in ("letters.body", "people.photo", "events.username")
    }
    done = play(data_columns={**some, "people.emall": "email", "people.phone": "telephone"})
    said = " ".join(done.stdout.split())
    assert done.returncode != 0
    for part in (
        "nothing was changed",
        "letters.body holds personal data",
        "events.username is called like personal data and has no rule",
        "people.photo holds bytes",
        "people.emall is no column of this database; did you mean people.email?",
        "people.phone: telephone is no rule; did you mean phone?",
    ):
        assert part in said, part
    assert crowd[0].values["email"] not in said
    assert psql(host, "select md5(string_agg(p::text, '|' order by id)) from people p") == before


def test_check_mode_changes_nothing_and_says_what_would_be(host, crowd, letters):
    psql(host, filled(crowd[:20], [each for each in letters if each[0] < 20]))
    before = psql(host, "select md5(string_agg(p::text, '|' order by id)) from people p")
    argv = ["ansible-playbook", "--check", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(HERE / "mask.yml")]
    done = subprocess.run(argv, env=PLAIN, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "changed=1" in done.stdout
    assert psql(host, "select md5(string_agg(p::text, '|' order by id)) from people p") == before


def test_a_database_that_somebody_uses_is_refused(host):
    sleeper = "PGAPPNAME=app psql -d crowd -c 'select pg_sleep(60)'"
    host.run_test(f'runuser -u postgres -- sh -c "{sleeper}" >/dev/null 2>&1 & sleep 1')
    done = play()
    assert done.returncode != 0
    assert "others are connected: postgres (app); a copy that is masked must be nobody else's" in " ".join(
        done.stdout.split()
    )
    psql(
        host,
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app'",
        database="postgres",
    )


def test_nothing_of_anybody_is_left_in_what_a_dump_holds(host, masked, crowd):
    dump = host.run("runuser -u postgres -- pg_dump --inserts crowd").stdout
    seen = persons.bare(dump)
    # What is shorter comes about by chance among so many digits: it is looked for where it stood, below.
    left = [(kind, value) for who in crowd for kind, value in who.values.items()
            if len(persons.bare(value)) >= 12 and persons.bare(value) in seen]  # fmt: skip
    assert not left, left[:5]


def test_no_column_and_no_text_holds_what_it_held(host, masked, crowd, letters):
    for kind in sorted(set(TOLD) - {"birth_date"}):  # a day of birth is one that others have, too
        values = psql(host, f"select {kind} from people").splitlines()
        assert len(values) == COUNT
        both = {persons.bare(value) for value in values} & {persons.bare(who.values[kind]) for who in crowd}
        assert not both, (kind, both)
    said = psql(host, "select replace(body, E'\\n', ' ') from letters order by id").splitlines()
    left = [(kind, value) for body, (_, _, told) in zip(said, letters, strict=True) for kind, value in told.items()
            if persons.bare(value) in persons.bare(body)]  # fmt: skip
    assert not left, left[:5]


def test_nor_in_the_files_and_statistics_of_the_server(host, masked, crowd):
    statistics = psql(
        host, "select coalesce(string_agg(most_common_vals::text || histogram_bounds::text, ' '), '') from pg_stats"
    )
    emails = [who.values["email"] for who in crowd]
    assert not [email for email in emails if email in statistics]
    host.run_test("runuser -u postgres -- psql -qc checkpoint")
    found = host.run(f"grep -rlaF -e '{emails[0]}' -e '{emails[-1]}' /var/lib/postgresql/*/main/base")
    assert found.stdout == ""


def test_joins_hold_rows_stay_and_keys_are_right(host, masked):
    both = "letters l join people p on p.email = l.to_email and p.id = l.person"
    joined = psql(host, f"select count(*), count(distinct p.email) from {both}")
    assert joined.strip() == f"{3 * COUNT}|{psql(host, 'select count(distinct to_email) from letters').strip()}"
    assert psql(host, "select count(*) from events e join people p using (username)").strip() == str(COUNT)
    key = "foreign key (to_email) references people (email)"
    psql(host, f"alter table letters drop constraint letters_to_email_fkey, add {key}")
    psql(host, "alter table people enable trigger guard")


def test_texts_name_the_same_masks_as_columns(host, masked, letters):
    told = "p.email, l.extra->'cc'->>0, replace(l.body, E'\\n', ' ')"
    said = psql(host, f"select {told} from letters l join people p on p.id = l.person order by l.id")
    rows = [line.split("|", 2) for line in said.splitlines()]
    assert len(rows) == len(letters)
    for (email, copied, body), (_, _, told) in zip(rows, letters, strict=True):
        assert copied == email
        if "email" in told:
            assert email in body.lower()


def test_kept_is_what_has_a_reason_and_the_proof_says_it(host, masked):
    assert psql(host, "select count(*) from people where password_hash <> '$argon2id$' || id").strip() == "0"
    assert psql(host, "select count(*) from people where photo is not null").strip() == "0"
    proof = json.loads(host.file(PROOF).content_string)
    assert (proof["format"], proof["database"], proof["left"]) == (1, "crowd", {})
    assert proof["rows"] == {"people": COUNT, "letters": 3 * COUNT, "events": COUNT}
    assert proof["kept"] == {"people.password_hash": "a salted hash; testers log in with it"}
    assert host.file(PROOF).mode == 0o600


def test_what_was_masked_is_told_without_a_value(masked, crowd):
    assert not [value for who in crowd for value in (who.values["email"], who.values["iban"]) if value in masked.stdout]


def psql_open(host, script):
    return psql(host, script, database="open").strip()


@pytest.fixture
def opened(host):
    """Another database that serves, with a table of its own."""
    psql_open(host, "drop table if exists own; create table own (n int); insert into own values (7)")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rows": {"people": 399, "letters": 1200, "events": 400}}, "people has 400 rows and should have 399"),
        ({"size": 10**15}, "MB are free: make room"),
    ],
)
def test_a_copy_that_is_not_whole_or_does_not_fit_takes_nobodys_place(host, masked, opened, wrong, said):
    done = play("put", **wrong)
    assert done.returncode != 0
    assert said in " ".join(done.stdout.split())
    assert psql_open(host, "select n from own") == "7"
    names = psql(host, "select string_agg(datname, ' ') from pg_database where datname like 'open%'")
    assert names.strip() == "open"


def test_a_copy_takes_a_databases_place_from_who_is_connected_and_gives_it_back(host, masked, opened):
    sleeper = "runuser -u postgres -- psql -qc 'select pg_sleep(60)' open"
    host.run_test(f'cd /; sh -c "{sleeper}" >/tmp/sleeper 2>&1 & sleep 1')
    access = "select datacl::text from pg_database where datname = 'open'"
    before = psql_open(host, f"alter database open set search_path = app, public; {access}")
    done = play("put")
    assert done.returncode == 0, done.stdout[-2000:]
    assert psql_open(host, "select count(*) from people join letters l on l.person = people.id") == "1200"
    assert psql_open(host, access) == before
    assert psql_open(host, "show search_path") == "app, public"
    assert "terminating connection" in host.file("/tmp/sleeper").content_string
    assert host.run("runuser -u postgres -- psql -d open_ferryman_before -c 'select 1'").rc != 0, (
        "nobody writes there by mistake"
    )
    done = play("back")
    assert done.returncode == 0, done.stdout[-2000:]
    assert psql_open(host, "select n from own") == "7"
    again = play("back")
    assert again.returncode != 0
    assert "nothing of open is kept" in " ".join(again.stdout.split())


def test_a_database_that_is_not_the_one_that_was_masked_is_not_written(host, masked):
    done = play("put", marked="masked by Ferryman: another one")
    assert done.returncode != 0
    assert "crowd is not the one that was masked" in " ".join(done.stdout.split())
    assert not host.file("/root/crowd.copy").exists
