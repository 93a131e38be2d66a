"""SQL migrations: which of them a deploy judges, and what squawk says of them; the program and its output are real."""

import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description, git, source, sql
from tests.support.histories import Repository, good, tiny

SAID = """[
{"file":"0.sql","line":3,"column":18,"level":"Warning","message":"Dropping a column may break existing clients.",
 "help":null,"rule_name":"ban-drop-column","column_end":35,"line_end":3},
{"file":"0.sql","line":2,"column":78,"level":"Warning","message":"Changing the size of a `varchar` field requires an
 `ACCESS EXCLUSIVE` lock, that will prevent all reads and writes to the table.","help":"Use a `TEXT` field with a
 `CHECK` constraint.","rule_name":"prefer-text-field","column_end":89,"line_end":1},
{"file":"0.sql","line":4,"column":0,"level":"Warning","message":"During normal index creation, table updates are
 blocked, but reads are still allowed.","help":"Use `concurrently` to avoid blocking writes.",
 "rule_name":"require-concurrent-index-creation","column_end":38,"line_end":4},
{"file":"1.sql","line":1,"column":0,"level":"Error","message":"expected command, found IDENT","help":null,
 "rule_name":"syntax-error","column_end":0,"line_end":1},
{"file":"1.sql","line":1,"column":5,"level":"Error","message":"expected command, found IS_KW","help":null,
 "rule_name":"syntax-error","column_end":5,"line_end":1}]
""".replace("\n", "")
"""What squawk 2.70 printed."""
FOUND = [
    ("alter table users add column at timestamptz default clock_timestamp();", "adding-field-with-default"),
    (
        "alter table a add constraint b foreign key (c) references d (e);",
        "adding-foreign-key-constraint constraint-missing-not-valid",
    ),
    ("alter table users alter column name set not null;", "adding-not-nullable-field"),
    ("alter table a add primary key (b);", "adding-serial-primary-key-field constraint-missing-not-valid"),
    ("alter domain a add constraint b check (value > 1);", "ban-alter-domain-with-add-constraint"),
    ("alter table users alter column age type bigint;", "changing-column-type"),
    ("alter table a add constraint b check (c > 1);", "constraint-missing-not-valid"),
    (
        "alter table a add constraint b unique (c);",
        "constraint-missing-not-valid disallowed-unique-constraint",
    ),
    ("create index a on b (c);", "require-concurrent-index-creation"),
    ("drop index a;", "require-concurrent-index-deletion"),
    ("alter table a detach partition b;", "require-concurrent-partition-detach"),
    ("reindex table a;", "require-concurrent-reindex"),
    ("alter table users add column age bigint not null;", "adding-required-field"),
    ("drop database a;", "ban-drop-database"),
    ("alter table a set schema b;", "ban-set-schema"),
    ("truncate a cascade;", "ban-truncate-cascade"),
    ("alter table a rename column b to c;", "renaming-column"),
    ("alter view a rename to b;", "renaming-object"),
    ("alter table a rename to b;", "renaming-table"),
    ("alter table a drop column b;", "ban-drop-column"),
    ("alter table a drop constraint b;", "ban-drop-constraint"),
    ("alter table a alter column b drop default;", "ban-drop-default"),
    ("drop domain a;", "ban-drop-domain"),
    ("drop extension a;", "ban-drop-extension"),
    ("drop function a();", "ban-drop-function"),
    ("alter table a alter column b drop expression;", "ban-drop-generated-expression"),
    ("alter table a alter column b drop not null;", "ban-drop-not-null"),
    ("drop schema a;", "ban-drop-schema"),
    ("drop sequence a;", "ban-drop-sequence"),
    ("drop table a;", "ban-drop-table"),
    ("drop type a;", "ban-drop-type"),
    ("drop view a;", "ban-drop-view"),
    ("update a set b = 1, b = 2;", "ban-duplicate-column-assignments"),
    ("this is no sql;", "syntax-error"),
    ("begin;", "ban-uncommitted-transaction transaction-nesting"),
    (
        "begin; create index concurrently a on b (c); commit;",
        "ban-concurrent-index-creation-in-transaction",
    ),
]
"""Migrations, and what refuses each."""
NAMES = {"0.sql": "sql/0001.sql", "1.sql": "sql/0002.sql"}
EXPAND: dict[str, Any] = {"kind": "expand", "sql_ignore": []}
EVERY = sql.refusing(EXPAND)


def rules(text: str, refusing: set[str] = EVERY) -> list[tuple[int, str]]:
    """Return what is found in one migration, by line."""
    return [(flaw.line, flaw.rule) for flaw in sql.lint({"a.sql": text}, refusing)]


# --- what squawk says ---


def test_its_findings_are_told_by_our_files_lines_from_one_on_and_once_a_line() -> None:
    found = sql.parsed(SAID, NAMES, EVERY)
    assert [(each.file, each.line, each.rule) for each in found] == [
        ("sql/0001.sql", 4, "ban-drop-column"),
        ("sql/0001.sql", 5, "require-concurrent-index-creation"),
        ("sql/0002.sql", 2, "syntax-error"),
    ]
    assert found[0].wrong == "ban-drop-column: Dropping a column may break existing clients."
    assert found[1].message.endswith("are still allowed. Use `concurrently` to avoid blocking writes.")


def test_a_rule_that_does_not_refuse_is_not_told() -> None:
    assert not [each for each in sql.parsed(SAID, NAMES, EVERY) if each.rule == "prefer-text-field"]
    assert sql.parsed(SAID, NAMES, {"syntax-error"})[0].file == "sql/0002.sql"


@pytest.mark.parametrize("said", ["", "Error: stream did not contain valid UTF-8", '{"a": 1}', '[{"file": "2.sql"}]'])
def test_what_is_no_answer_is_never_taken_for_a_good_one(said: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        sql.parsed(said, NAMES, EVERY)


@pytest.mark.parametrize(("text", "rule"), FOUND)
def test_every_rule_that_refuses_is_one_of_squawks_and_finds_what_it_is_for(text: str, rule: str) -> None:
    assert [found for _, found in rules(text)] == rule.split()


def test_each_of_them_is_tried() -> None:
    tried = {rule for _, said in FOUND for rule in said.split()}
    assert tried == {*sql.RULES}
    assert len(sql.RULES) == len({*sql.RULES})


@pytest.mark.parametrize(
    "text",
    [
        "create table a (id bigint primary key, b varchar(9));\ncreate index c on a (b);",  # nobody uses it yet
        "create index concurrently a on b (c);",
        "-- it takes long\nDROP INDEX CONCURRENTLY a;",
        "alter table a add column b text, add column c int default 3;",
        "alter table a add constraint b check (c > 1) not valid;",
        "alter table a validate constraint b;",
        "-- squawk-ignore ban-drop-column\nalter table a drop column b;",
        "-- squawk-ignore-file ban-drop-column\nselect 1;\nalter table a drop column b;\nalter table c drop column d;",
        "insert into a values ('é', 1);\n",
        "",
    ],
)
def test_what_a_running_release_stands_is_let_through(text: str) -> None:
    assert rules(text) == []


def test_what_is_done_in_two_transactions_is_not_let_through_in_one() -> None:
    both = "alter table a add constraint b check (c > 1) not valid;\nalter table a validate constraint b;"
    assert rules(both) == [(2, "constraint-missing-not-valid")]


def test_files_are_told_apart_whatever_they_are_called() -> None:
    texts = {"db/a[1] *.sql": "drop table a;", "db/b;é.sql": "\n\ndrop table b;", "-e.sql": "select 1;"}
    assert [(each.file, each.line) for each in sql.lint(texts, EVERY)] == [("db/a[1] *.sql", 1), ("db/b;é.sql", 3)]


def test_a_machines_own_settings_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".squawk.toml").write_text('excluded_rules = ["ban-drop-table"]\n')
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert rules("drop table a;") == [(1, "ban-drop-table")]


def test_where_it_is_not_installed_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnsibleError, match="needs squawk on the driver: pip install squawk-cli"):
        rules("select 1;")
    assert sql.lint({}, EVERY) == []


def test_a_program_that_breaks_is_no_program_that_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "squawk").write_text("#!/bin/sh\necho 'error: unexpected argument' >&2\nexit 2\n")
    (tmp_path / "squawk").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3"))
    with pytest.raises(AnsibleError, match="squawk ended with 2, and gave no answer: error: unexpected argument"):
        rules("select 1;")


# --- what is asked of it ---


@pytest.mark.parametrize("kind", ["contract", "irreversible"])
def test_what_takes_away_is_what_a_release_that_contracts_is_for(kind: str) -> None:
    text = "alter table a drop column b;\ncreate index c on a (d);"
    assert rules(text) == [(1, "ban-drop-column"), (2, "require-concurrent-index-creation")]
    assert rules(text, sql.refusing({**EXPAND, "kind": kind})) == [(2, "require-concurrent-index-creation")]


def test_a_rule_that_is_ignored_refuses_nothing() -> None:
    assert rules("drop table a;", sql.refusing({**EXPAND, "sql_ignore": ["ban-drop-table"]})) == []


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("-- migrate:down", "-- migrate:up"),
        ("-- +goose Down", "-- +goose Up"),
        ("-- +migrate Down notransaction", "-- +migrate Up"),
        ("--Down Migration", "-- Up Migration"),
    ],
)
def test_what_leads_back_is_left_out_and_lines_stay_where_they_are(down: str, up: str) -> None:
    text = f"{up}\ncreate table a (b text);\n{down}\ndrop table a;\n{up}\ndrop table c;\n"
    assert sql.forward(text).count("\n") == text.count("\n")
    assert rules(text) == [(6, "ban-drop-table")]


def test_a_comment_that_only_begins_so_hides_nothing() -> None:
    assert rules("-- down the road it goes\ndrop table a;") == [(2, "ban-drop-table")]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("db", ["db/1.sql", "db/2.up.sql", "db/old/3.sql"]),
        ("./db/", ["db/1.sql", "db/2.up.sql", "db/old/3.sql"]),
        (".", ["db/1.sql", "db/2.up.sql", "db/old/3.sql", "dbx/4.sql"]),
        ("db/*.sql", ["db/1.sql", "db/2.up.sql"]),
        ("db/*.up.sql", ["db/2.up.sql"]),
        ("**/[13].sql", ["db/1.sql", "db/old/3.sql"]),
        ("db*/?.sql", ["db/1.sql", "dbx/4.sql"]),
        ("db/2.down.sql", ["db/2.down.sql"]),
        ("db/README.md", ["db/README.md"]),
        ("db/1", []),
        ("bd", []),
    ],
)
def test_files_directories_and_globs_name_what_leads_on(entry: str, found: list[str]) -> None:
    names = ["db/1.sql", "db/2.down.sql", "db/2.up.sql", "db/README.md", "db/old/3.sql", "dbx/4.sql", "main.py"]
    assert sql.named([entry], names) == [found]
    assert sql.absent(["db", entry], names) == ([] if found else [1])


@pytest.mark.parametrize("entry", ["/etc/x.sql", "../x", "db/../../x", "db/[z-a].sql"])
def test_what_can_name_nothing_is_told(entry: str) -> None:
    assert repr(entry) in sql.unfit(entry)


# --- in a history ---

TOLD: dict[str, Any] = {"migrations": {**EXPAND, "command": "true", "sql": ["sql"]}}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A history whose first commit has a migration that nobody could write today."""
    made = tiny(tmp_path / "tiny", good("v0"))
    write(made, "sql/0001.sql", "drop table long_ago;\n")
    made.commit(good("v1", migrations={"command": "true", "sql": ["sql"]}))
    return made


def write(repository: Repository, name: str, text: str) -> None:
    place = repository.path / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def wanted(repository: Repository, tmp_path: Path, where: Path | None = None) -> git.Commit:
    place = str(where or repository.path)
    return git.find(place, root=tmp_path, path=".", ref="HEAD", cache=tmp_path / "c", allow_dirty=False, explicit=True)


def found(verdict: sql.Verdict) -> list[tuple[str, int, str]]:
    return [(each.file, each.line, each.rule) for each in verdict.flaws]


def test_what_is_new_or_changed_is_judged_and_what_is_live_is_not(repository: Repository, tmp_path: Path) -> None:
    live = repository.commits[-1]
    write(repository, "sql/0002.sql", "select 1;\nalter table users drop column email;\n")
    write(repository, "other/0003.sql", "drop table of_somebody_else;\n")
    repository.commit(good("v2"))
    verdict = sql.judged(wanted(repository, tmp_path), TOLD, live)
    assert verdict.refuses
    assert found(verdict) == [("sql/0002.sql", 2, "ban-drop-column")]
    write(repository, "sql/0001.sql", "drop table long_ago;\ndrop table today;\n")
    repository.commit(good("v3"))
    told = sql.refusal(sql.judged(wanted(repository, tmp_path), TOLD, live), ".")
    assert told["reason"].split("\n")[1:] == [
        "  sql/0001.sql:1: ban-drop-table: Dropping a table may break existing clients.",
        "  sql/0001.sql:2: ban-drop-table: Dropping a table may break existing clients.",
        "  sql/0002.sql:2: ban-drop-column: Dropping a column may break existing clients.",
    ]
    assert all(way in told["hint"] for way in ("-- squawk-ignore RULE", "migrations.sql_ignore", "kind: contract"))
    assert sql.judged(wanted(repository, tmp_path), {"migrations": {}}, live) == sql.Verdict()


def test_before_the_first_release_nothing_is_there_that_could_be_locked(repository: Repository, tmp_path: Path) -> None:
    assert sql.judged(wanted(repository, tmp_path), TOLD, "") == sql.Verdict()


def test_where_nobody_knows_what_is_new_it_is_noted_and_nothing_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    for number in range(2, 9):
        write(repository, f"sql/{number:04}.sql", "drop table a;\n")
    live = repository.commits[-1]
    repository.commit(good("v2"))
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.path}", str(shallow))
    verdict = sql.judged(wanted(repository, tmp_path, shallow), TOLD, live)
    assert not verdict.refuses
    assert sql.refusal(verdict, ".") == {}
    assert f"({live[:7]}, which is live, is not in this repository" in verdict.note()
    assert "fetch --unshallow" in verdict.note()
    assert "of all: sql/0001.sql:1 ban-drop-table, " in verdict.note()
    assert verdict.note().endswith("and 3 more")
    unseen = sql.judged(wanted(repository, tmp_path), TOLD, None)
    assert "has not seen yet what is live" in unseen.note()


def test_what_a_host_calls_a_commit_is_no_option_of_git(repository: Repository, tmp_path: Path) -> None:
    verdict = sql.judged(wanted(repository, tmp_path), TOLD, f"--output={tmp_path / 'written'}")
    assert "is not in this repository" in verdict.why
    assert not (tmp_path / "written").exists()


def test_nothing_is_noted_of_what_is_well_anyway(repository: Repository, tmp_path: Path) -> None:
    write(repository, "sql/0001.sql", "create table a (b text);\n")
    repository.commit(good("v2"))
    assert sql.judged(wanted(repository, tmp_path), TOLD, "0" * 40).note() == ""


def test_what_is_live_is_what_the_ledger_says() -> None:
    lines = [
        {"run": "1", "release": "r1", "status": "live", "commit": "a" * 40},
        {"run": "2", "release": "r2", "status": "started", "commit": "b" * 40},
        {"run": "2", "release": "r2", "status": "failed", "commit": "b" * 40},
    ]
    assert sql.live_of(lines) == "a" * 40
    assert sql.live_of([]) == ""


# --- in a description ---

TEXT = "format: 1\nname: shop\nruntime: {kind: binary}\nprocesses: {web: {kind: web, command: shop}}\n"


def test_a_description_names_them_and_the_rules_that_do_not_count() -> None:
    told = description.read(TEXT + "migrations: {command: m, sql: [db], sql_ignore: [ban-drop-table]}\n")["migrations"]
    assert (told["sql"], told["sql_ignore"]) == (["db"], ["ban-drop-table"])
    assert description.read(TEXT + "migrations: {command: m}\n")["migrations"]["sql"] == []


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        (
            "sql_ignore: [ban-drop-tabel]",
            "'ban-drop-tabel' is no rule that refuses a deploy; did you mean ban-drop-table?",
        ),
        ("sql_ignore: [prefer-text-field]", "'prefer-text-field' is no rule that refuses a deploy"),
        ("sql_ignroe: [ban-drop-table]", "is not an option; did you mean sql_ignore?"),
        ("sql: [../db]", "'../db' must be a path or a glob below ferryman.yml"),
        ("sql: {db: 1}", "must be text"),
    ],
)
def test_what_is_misspelt_is_told_by_its_line(key: str, wrong: str) -> None:
    with pytest.raises(description.Problems) as problems:
        description.read(f"{TEXT}migrations:\n  command: m\n  {key}\n")
    (said,) = problems.value.found
    assert said.startswith("ferryman.yml:7: migrations.sql")
    assert wrong in said


class Asked:
    """What `source.judged` asks of an action."""

    app = "tiny"
    vars: ClassVar[dict[str, Any]] = {}
    secrets: ClassVar[dict[str, str]] = {}
    every: ClassVar = {"app": ["web1"], "entry": ["web1"]}

    def value(self, name: str, default: Any = None) -> Any:
        del name
        return default


def test_a_directory_that_is_not_in_the_commit_is_told_by_its_line(repository: Repository, tmp_path: Path) -> None:
    asked: Any = Asked()
    assert source.judged(asked, wanted(repository, tmp_path))[1] == []
    repository.commit(good("v2", migrations={"sql": ["sql", "sqll/*.sql"]}))
    (wrong,) = source.judged(asked, wanted(repository, tmp_path))[1]
    assert "migrations.sql.1 names 'sqll/*.sql', and no SQL file of the commit is called so" in str(wrong)
    assert wrong.line
