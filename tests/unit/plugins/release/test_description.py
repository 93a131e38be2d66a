"""ferryman.yml: every error at once, each with its line; and no file, however broken, that is not answered.

Requirements: ENV-5.
"""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description

ROOT = Path(__file__).parents[4]
GOOD = """\
format: 1
name: notes
runtime: {kind: python, version: "3.11"}
processes:
  web:
    kind: web
    command: uvicorn notes.main:app --port {port}
    instances: 2
    health: {path: /health/ready}
  worker: {kind: worker, command: python -m notes.worker}
  cleanup: {kind: cron, command: python -m notes.cleanup, schedule: "*-*-* 03:15:00"}
migrations: {command: alembic upgrade head, revision: alembic current, paths: [migrations]}
health:
  version: {path: /version}
  checks: [{name: database, path: /health/database}]
shared: [media]
env: {NOTES_TITLE: Notes}
secrets: [SESSION_KEY]
secret_env: [DATABASE_URL]
verify:
  - {name: front page, path: /, expect: {status: [200], contains: [Notes], headers: {content-type: html}}}
  - {name: write, method: POST, path: /n, json: {a: "{unique}"}, writes: true, save: {id: {json: id}}}
  - {name: read, path: "/n/{id}", needs: [write], expect: {json: {a: "{unique}"}, matches: ["^{"], within_s: 2}}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(description.Problems) as wrong:
        description.read(text)
    return wrong.value.found


def changed(before: str, after: str) -> str:
    assert before in GOOD
    return GOOD.replace(before, after)


def test_a_good_one_is_filled_with_defaults() -> None:
    told = description.read(GOOD)
    assert told["build"] == {"commands": [], "root": ".", "exclude": [], "lock": "", "scripts": []}
    assert told["processes"]["web"]["health"] == {"path": "/health/ready", "status": 200, "timeout_s": 3.0}
    assert told["processes"]["worker"]["instances"] == 1
    assert told["health"]["checks"][0]["status"] == 200
    assert told["migrations"]["timeout_s"] == 30


@pytest.mark.parametrize("path", ["examples/notes/ferryman.yml", "tests/support/tiny/ferryman.yml"])
def test_those_of_this_project_are_good(path: str) -> None:
    description.read((ROOT / path).read_text())


def test_two_that_were_read_share_nothing() -> None:
    one, two = description.read(GOOD), description.read(GOOD)
    one["env"]["X"] = "1"
    one["build"]["exclude"].append("x")
    assert description.read(GOOD) == two


def test_a_word_in_braces_that_is_nearly_one_of_ours_is_a_typo_and_any_other_is_the_commands_own() -> None:
    typo = GOOD.replace("{port}", "{prot}")
    assert typo != GOOD
    assert any("holds {prot}, which nothing fills; did you mean {port}?" in each for each in problems(typo))
    description.read(GOOD.replace("{port}", "{port} --format {time}"))


def test_a_queue_or_a_buffer_of_so_many_is_no_port() -> None:
    description.read(GOOD.replace("--port {port}", "--listen 1024 -b 32768"))


def test_every_error_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
format: 2
name: Notes
runtime: {kind: pyhton}
proceses: {}
processes:
  web:
    kind: web
    comand: run
    instances: two
    memory_max: lots
  Worker: {kind: worker, command: "it's"}
  cleanup: {kind: cron, command: x}
shared: [/etc, media/]
env: {A B: x, DEBUG: true}
secrets: [../passwd]
"""
    found = problems(text)
    lines = [int(each.split(":")[1]) for each in found]
    assert lines == sorted(lines)
    for line, words in (
        (1, "format is wrong"),
        (2, "'Notes' must be lower-case"),
        (3, "kind is wrong"),
        (4, "did you mean processes?"),
        (8, "comand is not an option; did you mean command?"),
        (6, "command is missing"),
        (9, "instances is wrong"),
        (10, "'lots' must be like 512M"),
        (11, "Worker must be lower-case"),
        (11, "No closing quotation"),
        (12, "schedule is missing"),
        (13, "'/etc' must be a path below"),
        (13, "'media/' must be a path below"),
        (14, "A B is no name"),
        (14, "DEBUG must be text, YAML reads yes or no"),
        (15, "'../passwd' must be a name"),
    ):
        assert any(each.startswith(f"ferryman.yml:{line}: ") and words in each for each in found), (line, words, found)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('version: "3.11"', "version: 3.10", "YAML reads a number here: put it in quotes"),
        ("instances: 2", "instances: 0", "must be 1 to 10"),
        ("instances: 2", "instances: 11", "must be 1 to 10"),
        ("instances: 2", "instances_max: 0", "instances_max must be 1 to 10"),
        ("instances: 2", "instances_min: 2", "instances must be 2 to 10, as instances_min and instances_max say"),
        ("instances: 2", "instances_min: 3\n    instances_max: 2", "instances_min must be no more than instances_max"),
        ("instances: 2", 'memory_max: "1G\\nExecStartPre=/bin/sh"', "must be like 512M"),
        ("instances: 2", "memory_max: 512", "'512' is 512 bytes, in which nothing runs; 512M is 512 MiB"),
        ("instances: 2", "memory_max: 512K", "'512K' is 524288 bytes"),
        (
            "--port {port}",
            "--port 8000",
            "listens on port 8000, and instances of both slots run at once",
        ),
        ("--port {port}", "{host}:8000", "listens on port 8000"),
        ("--port {port}", "-b 127.0.0.1:80", "listens on port 80"),
        ("instances: 2", 'cpu_quota: "half"', "must be a percentage"),
        ("instances: 2", "stop_timeout_s: 0", "at least 1 second"),
        ("instances: 2", "timeout_s: -1", "with 0 one of kind once gets an hour"),
        ('"*-*-* 03:15:00"', '"daily\\nExecStart=x"', "is no time that systemd reads; like `daily`"),
        ('"*-*-* 03:15:00"', "every day", "'every day' is no time that systemd reads; like `daily`"),
        ("path: /health/ready", "path: health", "must begin with /"),
        ("path: /health/ready", 'path: "/a b"', "must begin with /"),
        ("path: /health/ready", "path: /x, timeout_s: 0", "more than 0"),
        ("shared: [media]", "shared: [media, media/x]", "shared already"),
        ("shared: [media]", "shared: [.]", "must be a path below"),
        ("shared: [media]", "shared: [../x]", "must be a path below"),
        ("NOTES_TITLE: Notes", "PORT: 80", "is set by Ferryman itself"),
        ("NOTES_TITLE: Notes", "FERRYMAN_RELEASE: x", "is set by Ferryman itself"),
        ("NOTES_TITLE: Notes", 'A: "\\0"', "NUL"),
        ("NOTES_TITLE: Notes", "A: [b]", "must be text"),
        ("[SESSION_KEY]", "[SESSION-KEY]", "as of an environment variable"),
        ("alembic current", '"alembic \'"', "No closing quotation"),
        ("revision: alembic current", "downgrade: alembic downgrade base", "leads nowhere without `revision`"),
        ("python -m notes.worker", '" "', "command is missing"),
        ("kind: worker, c", "kind: web, c", "several of kind web"),
        ("cleanup:", "migrate:", "none of migrate, revision, downgrade"),
        ("cleanup:", "2nd:", "lower-case letters"),
        ("cleanup:", "caf\u00e9:", "lower-case letters"),
        ("secrets: [SESSION_KEY]", "name: other", "is given twice"),
    ],
)
def test_what_would_only_fail_later_is_refused_now(before: str, after: str, said: str) -> None:
    found = problems(changed(before, after))
    assert len(found) == 1, found
    assert said in found[0]
    assert re.match(r"ferryman\.yml:\d+: ", found[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "just words",
        "7",
        "null",
        "a: b: c",
        "{",
        "\t- x",
        "? [a]\n: b",
        "a: &a [*a]",
        "&a [*a]",
        "d: 2026-13-45",
    ],
)
def test_what_is_no_description_is_answered(text: str) -> None:
    assert problems(text)


def test_a_place_with_a_colon_in_its_name_is_named() -> None:
    with pytest.raises(description.Problems, match=r"^a:b/ferryman.yml:1: "):
        description.read("{}", source="a:b/ferryman.yml")


def test_keys_that_are_free_are_left_alone() -> None:
    told = description.read(GOOD.replace("processes:\n", "x-note: [1]\nprocesses:\n  x-common: {a: b}\n"))
    assert "x-common" not in told["processes"]


def test_a_static_site_needs_no_process() -> None:
    told = description.read("{format: 1, name: site, runtime: {kind: static}}")
    assert told["processes"]["web"]["kind"] == "web"


def test_an_inventory_lays_its_sizes_over() -> None:
    told = description.sized(
        description.read(GOOD),
        {"web": {"instances": "3", "memory_max": "1G"}, "worker": {}},
        source="apps.notes.processes",
    )
    assert (told["processes"]["web"]["instances"], told["processes"]["web"]["memory_max"]) == (3, "1G")
    assert told["processes"]["web"]["health"]["path"] == "/health/ready"


def test_sizes_are_checked_as_the_description_is() -> None:
    sizes: dict[str, Any] = {
        "web": {"instances": "two", "command": "x", "memory_max": "1G\nUser=root"},
        "wroker": {"instances": 1},
        "worker": ["x"],
        "cleanup": {"instances": 99},
    }
    with pytest.raises(description.Problems) as wrong:
        description.sized(description.read(GOOD), sizes, source="apps.notes.processes")
    said = "\n".join(wrong.value.found)
    for words in (
        "apps.notes.processes.web.instances is wrong",
        "apps.notes.processes.web.command is not an option",
        "apps.notes.processes.web.memory_max",
        "apps.notes.processes.wroker is no process of notes; did you mean worker?",
        "apps.notes.processes.worker must hold keys and values",
        "apps.notes.processes.cleanup.instances must be 1 to 10",
    ):
        assert words in said


def refusals(text: str) -> list[str]:
    """What is wrong with a description; nothing for one that is read, and then it has a process."""
    try:
        told = description.read(text)
    except description.Problems as wrong:
        return wrong.found or ["refused without a word"]
    assert told["processes"]
    return []


JUNK: list[Any] = [
    None,
    True,
    0,
    -1,
    3.5,
    "",
    "x",
    "a b",
    "a=b",
    "\n",
    [],
    [None],
    ["x", 1],
    {},
    {"a": 1},
    {1: 2},
    {"x": {}},
    10**30,
]


def spoiled(chance: Random, value: Any) -> Any:
    """Return a description with something in it replaced, added, or gone."""
    if chance.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        return chance.choice(JUNK)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [*value[:at], spoiled(chance, value[at]), *value[at + 1 :]]
    key = chance.choice(list(value))
    act = chance.random()
    if act < 0.15:
        return {name: each for name, each in value.items() if name != key}
    if act < 0.3:
        return {**value, chance.choice(["x", 7, None, "commnd", True]): chance.choice(JUNK)}
    return {**value, key: spoiled(chance, value[key])}


@pytest.mark.soak
def test_soak_description(soak: Any) -> None:
    """However a description is spoiled, it is read or refused in sentences, and what is read can be rendered."""
    chance, refused = soak.random(), 0
    count = soak.times(sample=400, full=20_000)
    for number in range(count):
        if number % 2:
            text = GOOD
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(text))
                text = (
                    text[:at]
                    + chance.choice(["", ":", "\n", "{", "]", '"', "'", "- ", "&a", "*a", "\t", "#", "0"])
                    + text[at + chance.randrange(4) :]
                )
        else:
            data = yaml.safe_load(GOOD)
            for _ in range(chance.randrange(1, 5)):
                data = spoiled(chance, data)
            text = yaml.safe_dump(data)
        found = refusals(text)
        assert all(each.startswith("ferryman.yml") for each in found)
        refused += bool(found)
    soak.record(descriptions=count, refused=refused, tracebacks=0)


def test_a_key_that_was_renamed_is_refused_by_its_old_and_its_new_name() -> None:
    renamed = {"lockfile": "build.lock", "processes.*.memory": "processes.*.memory_max", "health.checks.*.url": "path"}
    text = GOOD.replace("{name: database, path", "{name: database, url: x, path") + "lockfile: uv.lock\n"
    text = text.replace("    instances: 2\n", "    memory: 1G\n")
    with pytest.raises(description.Problems) as wrong:
        description.read(text, renamed=renamed)
    assert wrong.value.found == [
        "ferryman.yml:8: processes.web.memory is now called processes.*.memory_max",
        "ferryman.yml:15: health.checks.0.url is now called path",
        f"ferryman.yml:{text.count(chr(10))}: lockfile is now called build.lock",
    ]
