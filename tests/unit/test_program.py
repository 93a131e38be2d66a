"""The command line as a pipeline meets it: exit codes, one JSON object, no traceback for a refusal."""

import json
import os
import subprocess
import sys

import pytest
from invoke import Collection, Context, task

from ferryman import errors, program
from ferryman.errors import Stop


@task(positional=["word"])
def act(ctx: Context, word: str = "", env: str = "", count: int = 0) -> None:
    """Say what came in, or fail as asked."""
    if word == "refuse":
        raise Stop("refused", hint="ask nicely", facts={"host": "one"})
    if word == "break":
        raise Stop("broken", code=errors.NEEDS_PERSON)
    if word == "fault":
        raise ZeroDivisionError("by zero")
    if word == "interrupt":
        raise KeyboardInterrupt
    print(json.dumps({"word": word, "env": env, "json": ctx.ferryman.json, "yes": ctx.ferryman.yes}))


def run(*words: str) -> int:
    inner = Collection("inner")
    inner.add_task(act)
    space = Collection(act, inner)
    made = program.Program(name="t", binary="t", version="1", namespace=space, config_class=program.Config)
    try:
        made.run(["t", *words])
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.mark.parametrize(("word", "code"), [("refuse", 1), ("break", 3), ("fault", 3), ("interrupt", 3)])
def test_exit_codes_tell_what_state_things_are_in(word: str, code: int) -> None:
    assert run("act", word) == code


def test_an_interrupted_command_is_followed_by_the_one_that_asks_what_it_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("act", "interrupt", "--env", "prod")
    assert capsys.readouterr().err == "interrupted\n  `./invoke status --env prod` tells what was done\n"
    run("act", "interrupt")
    assert "`./invoke status` tells" in capsys.readouterr().err


def test_a_refusal_is_one_object_for_a_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("act", "refuse", "--json") == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": "refused", "hint": "ask nicely", "code": 1, "host": "one"}
    assert said.err == ""


def test_a_refusal_is_two_lines_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    run("act", "refuse")
    assert capsys.readouterr().err == "refused\n  ask nicely\n"


def test_bad_words_are_a_refusal_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nothing-such", "--json") == 1
    assert "nothing-such" in json.loads(capsys.readouterr().out)["error"]


def test_a_word_where_a_number_is_wanted_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("act", "--count", "many", "--json") == 1
    said = capsys.readouterr()
    assert "'many'" in json.loads(said.out)["error"]
    assert "Traceback" not in said.err


def test_a_fault_keeps_its_traceback_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    run("act", "fault", "--json")
    said = capsys.readouterr()
    assert "Traceback" in said.err
    assert json.loads(said.out)["code"] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["act"], {}),
        (["act", "x"], {"word": "x"}),
        (["act", "--word", "x"], {"word": "x"}),
        (["inner.act", "x", "--env", "prod"], {"word": "x", "env": "prod"}),
        (["act", "--env", "prod", "--yes"], {"env": "prod", "yes": True}),
        (["--json", "act"], {"json": True}),
        (["act", "--json"], {"json": True}),
    ],
)
def test_words_and_the_two_common_options(
    words: list[str], expected: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 0
    assert json.loads(capsys.readouterr().out) == {"word": "", "env": "", "json": False, "yes": False} | expected


def test_help_is_not_swallowed_by_a_positional(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("act", "--help") == 0
    assert "Say what came in" in capsys.readouterr().out


def test_listing_stays_light() -> None:
    """`--list` imports neither ansible nor what only some commands need."""
    code = "import sys; import ferryman.program, ferryman.tasks; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True).stdout.split()
    heavy = {"ansible", "ansible_runner", "rich", "jinja2", "aiohttp", "pytest"}
    assert heavy & set(loaded) == set()


UNREAD = """
from invoke import Collection, task
from ferryman import errors, progress, program

@task
def act(c, how=""):
    if how == "stop":
        raise errors.Stop("x", code=2)
    if how == "other":
        raise BrokenPipeError("one that is not stdout")
    progress.Lines().note("going on")
    print("x" * 100_000)

program.Program(name="t", binary="t", version="1", namespace=Collection(act), config_class=program.Config).run()
"""


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--how", "stop", "--json"], 2), (["--how", "other"], 3)])
def test_a_reader_that_leaves_changes_no_exit_code(words: list[str], code: int) -> None:
    reader, writer = os.pipe()
    unread = words != ["--how", "other"]
    if unread:
        os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", UNREAD, "act", *words], stdout=writer, stderr=writer if unread else None, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == code
