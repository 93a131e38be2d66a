"""The command line as a pipeline meets it: exit codes, one JSON object, no traceback for a refusal."""

import json
import os
import subprocess
import sys

import pytest
from invoke import Collection, Context, task

from ferryman import errors, program, tasks
from ferryman.errors import Stop
from ferryman.tasks import docs


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


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["act", "--count", "many"], "--count wants a number, and 'many' is none", "`t act --help` says what it takes"),
        (["act", "--count=1.5"], "--count wants a number, and '1.5' is none", "`t act --help` says what it takes"),
        (["act", "--env"], "--env needs a value", "`t act --help` says what it takes"),
        (["act", "--env", "--json"], "--env needs a value, and --json is an option itself", "`t act --help` says what"),
        (["act", "-e", "--count=2"], "-e needs a value, and --count=2 is an option itself", "`t act --help` says what"),
        (["act", "--nev", "x"], "act takes no '--nev'", "did you mean --env? `t act --help` says what"),
        (["act", "--jsn"], "act takes no '--jsn'", "did you mean --json? `t act --help` says what"),
        (["act", "--zzz", "x"], "act takes no '--zzz'", "`t act --help` says what it takes"),
        (
            ["--env", "prod", "act", "x"],
            "--env is not for the program, but for a command",
            "`t act --env prod x`",
        ),
        (
            ["--nev", "act"],
            "--nev is not for the program, but for a command",
            "options come after the command: `t COMM",
        ),
        (["axt"], "there is no command 'axt'", "did you mean act? `t --list` shows all"),
        (["--help", "axt"], "there is no command 'axt'", "did you mean act? `t --list` shows all"),
        (["--print-completion-script"], "--print-completion-script needs a value", "t --help"),
    ],
)
def test_a_mistyped_line_is_told_in_words_and_with_the_way_out(
    words: list[str], error: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json", *words) == 1
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["error"] == error
    assert told["hint"].startswith(hint)
    assert said.err == ""


@pytest.mark.parametrize("words", [["--env", ""], ["--env="], ["--env", "", "--json"]])
def test_an_empty_value_is_one_as_a_pipelines_variable_may_be(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("act", *words) == 0
    assert json.loads(capsys.readouterr().out)["env"] == ""


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
        (["act", "--word=-x", "--count", "-3"], {"word": "-x"}),
        (["act", "--env", "-x"], {"env": "-x"}),
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


@task(positional=["one", "other"])
def compare(ctx: Context, one: str = "", other: str = "", env: str = "") -> None:
    """Say what came in."""
    print(json.dumps([one, other, env, ctx.ferryman.json]))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "b", "--env", "prod"], ["a", "b", "prod", False]),
        (["a", "--env", "prod"], ["a", "", "prod", False]),
        (["--env", "prod"], ["", "", "prod", False]),
        (["--env", "prod", "a", "b"], ["a", "b", "prod", False]),
        (["a", "--env=prod", "--json", "b"], ["a", "b", "prod", True]),
    ],
)
def test_words_after_a_command_are_its_positionals_in_their_order(
    words: list[str], expected: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    made = program.Program(
        name="t", binary="t", version="1", namespace=Collection(compare), config_class=program.Config
    )
    made.run(["t", "compare", *words], exit=False)
    assert json.loads(capsys.readouterr().out) == expected


@task(positional=["size"], iterable=["size"])
def several(ctx: Context, size: list[str] | None = None, env: str = "") -> None:
    """Say what came in."""
    print(json.dumps([size, env, ctx.ferryman.json]))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["web=5", "worker=2", "--env", "prod"], [["web=5", "worker=2"], "prod", False]),
        (["--env", "prod", "web=5", "--json", "worker=2"], [["web=5", "worker=2"], "prod", True]),
        (["--env", "prod", "compare"], [[], "prod", False]),
    ],
)
def test_a_positional_that_is_a_list_takes_all_words_but_commands(
    words: list[str], expected: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    space = Collection(several, compare)
    made = program.Program(name="t", binary="t", version="1", namespace=space, config_class=program.Config)
    made.run(["t", "several", *words], exit=False)
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == expected


def told_by(*words: str) -> None:
    """Run the real program."""
    made = program.Program(
        name="Ferryman", binary="ferryman", version="1", namespace=tasks.namespace, config_class=program.Config
    )
    with pytest.raises(SystemExit) as left:
        made.run(["ferryman", *words])
    assert not left.value.code


def test_help_of_a_command_says_what_the_reference_says(capsys: pytest.CaptureFixture[str]) -> None:
    for name, what, options in docs.commands():
        told_by(name, "--help")
        said = capsys.readouterr().out
        assert said.startswith(f"Usage: ferryman {name} ")
        assert max(map(len, said.splitlines())) < 80, "a terminal would cut it in a word"
        words = " ".join(said.split())
        assert what in words
        assert all(f"{option} {about}" in words for option, about in options)
        assert all(f"--{option} {about}" in words for option, about in tasks.EVERYWHERE.items())
        assert not {"core-opts", "Docstring:", "other tasks"} & set(words.split())


def test_help_and_version_are_one_object_where_that_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    told_by("--version", "--json")
    assert json.loads(capsys.readouterr().out) == {"name": "Ferryman", "version": "1"}
    told_by("--json", "--help")
    assert set(json.loads(capsys.readouterr().out)["commands"]) == set(tasks.namespace.task_names)
    told_by("deploy", "--help", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["command"] == "deploy"
    assert {"--env", "--ref", "--json", "--yes"} <= set(said["options"])


def test_an_installed_program_lists_what_works_without_a_checkout() -> None:
    here, there = (set(tasks.collect(checkout=checkout).task_names) for checkout in (True, False))
    assert there < here
    assert {name.partition(".")[0] for name in here - there} == {"test", "soak", "bench", "docs"}


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
HELP = UNREAD.replace("\nprogram.Program", "\nact.__doc__ = 'long ' * 40_000\nprogram.Program")


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


@pytest.mark.parametrize("words", [["--help"], ["act", "--help"], ["--list"], ["--version"], ["--json", "--help"]])
@pytest.mark.parametrize("leaves", ["before", "after a line"])
def test_a_reader_that_leaves_help_ends_it_well(words: list[str], leaves: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HELP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        if leaves != "before":
            assert running.stdout.readline()
        running.stdout.close()
        said = running.stderr.read()
    assert (running.returncode, said) == (0, "")
