"""What a release runs: what people wrote reaches the process unchanged, and nothing of it becomes another directive."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import render
from ansible_collections.ferryman.ops.plugins.module_utils.release.names import Site
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description
from hypothesis import given
from hypothesis import strategies as st

SITE = Site("notes")
RELEASE = "20261122T103000Z-1a2b3c4"
TOLD = description.read("""\
format: 1
name: notes
runtime: {kind: python}
processes:
  web: {kind: web, command: "serve --port {port}", memory_max: 512M, cpu_quota: 100%}
  worker: {kind: worker, command: work, network: none}
  cleanup: {kind: cron, command: clean, schedule: "*-*-* 03:15:00", network: local}
migrations: {command: migrate up, revision: migrate now}
secrets: [KEY]
secret_env: [DATABASE_URL]
""")
# What a process can be given: text without NUL. A lone surrogate is no text.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
variables = st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True).filter(
    lambda name: not name.startswith(("PYTHON", "FERRYMAN", "_"))
)


def launched(
    tmp_path: Path, command: str, env: dict[str, str], secrets: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Run a launcher as systemd does, and return the arguments and the environment of the process."""
    text = render.launcher(
        SITE,
        {"command": command},
        app="notes",
        environment="prod",
        release=RELEASE,
        runtime="python",
        env=env,
        secret_env=list(secrets),
    )
    (tmp_path / "credentials").mkdir(exist_ok=True)
    for name, value in secrets.items():
        (tmp_path / "credentials" / name).write_bytes(value.encode())
    text = text.replace(f"cd {SITE.release(RELEASE)}/app", f"cd '{tmp_path}'")
    more = {
        "PATH": "/usr/bin:/bin",
        "PORT": "20007",
        "HOST": "127.0.0.1",
        "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
    }
    done = subprocess.run(["/bin/sh"], input=text.encode(), env=more, capture_output=True, check=True)
    arguments, environment = json.loads(done.stdout)
    return arguments, environment


SHOW = f"{sys.executable} -I -c 'import json,os,sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))'"
ODD = "a b\n\t$HOME %h %% \"double\" 'single' `id` $(id) \\ ü 🚢 ; & | > < * ? [x] {y} ~ # !"


def test_values_reach_the_process_as_they_were_written(tmp_path: Path) -> None:
    arguments, env = launched(tmp_path, SHOW, {"ODD": ODD, "EMPTY": ""}, {"SECRET": ODD})
    assert arguments == []
    assert (env["ODD"], env["EMPTY"], env["SECRET"]) == (ODD, "", ODD)
    assert (env["FERRYMAN_APP"], env["FERRYMAN_ENVIRONMENT"], env["FERRYMAN_RELEASE"]) == ("notes", "prod", RELEASE)
    assert env["FERRYMAN_SHARED"] == "/srv/notes/shared"
    assert env["PATH"].endswith(":/usr/bin:/bin")


def test_values_of_any_letters_reach_the_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(st.dictionaries(variables, texts, max_size=5))
    def check(env: dict[str, str]) -> None:
        _, seen = launched(tmp_path_factory.mktemp("run"), SHOW, env, {})
        assert {name: seen[name] for name in env} == env

    check()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("--port {port}", ["--port", "20007"]),
        ("--bind={host}:{port}", ["--bind=127.0.0.1:20007"]),
        ("'{port} {port}'", ["20007 20007"]),
        ('"a b" c', ["a b", "c"]),
        ("''", [""]),
        ("$HOME `id` $(id) ; exit", ["$HOME", "`id`", "$(id)", ";", "exit"]),
        ("{other} {}", ["{other}", "{}"]),
        ("'line\nbreak'", ["line\nbreak"]),
        ("100% %h", ["100%", "%h"]),
    ],
)
def test_a_command_is_words_and_no_script(tmp_path: Path, words: str, arguments: list[str]) -> None:
    assert launched(tmp_path, f"{SHOW} {words}", {}, {})[0] == arguments


def test_a_secret_is_in_no_text() -> None:
    texts = render.launchers(SITE, TOLD, environment="prod", release=RELEASE)
    assert set(texts) == {"web", "worker", "cleanup", "migrate", "revision"}
    assert all('DATABASE_URL=$(cat "$CREDENTIALS_DIRECTORY/DATABASE_URL")' in text for text in texts.values())
    assert all("KEY" not in text.replace("$CREDENTIALS", "") or "export KEY" not in text for text in texts.values())


def test_a_missing_credential_stops_the_process(tmp_path: Path) -> None:
    text = render.launcher(
        SITE,
        {"command": "echo started"},
        app="a",
        environment="e",
        release=RELEASE,
        runtime="binary",
        env={},
        secret_env=["GONE"],
    ).replace(f"cd {SITE.release(RELEASE)}/app", "cd /")
    done = subprocess.run(
        ["/bin/sh"],
        input=text,
        text=True,
        env={"CREDENTIALS_DIRECTORY": str(tmp_path), "PATH": "/bin"},
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert "started" not in done.stdout


def unit(name: str, slot: str = "blue", **more: Any) -> list[str]:
    process = {**TOLD["processes"][name], **more}
    return render.unit(
        SITE, name, process, slot=slot, number=1, listen=("127.0.0.1", 20000), secrets=["KEY", "DATABASE_URL"]
    ).splitlines()


@pytest.mark.parametrize("name", ["web", "worker", "cleanup"])
def test_a_unit_says_where_as_whom_and_behind_which_walls(name: str) -> None:
    lines = unit(name)
    for line in (
        "User=app-notes",
        f"ExecStart=/srv/notes/slots/blue/run/{name}",
        "LoadCredential=KEY:/etc/ferryman/sites/notes/secrets/KEY",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
    ):
        assert line in lines
    assert all(line.startswith(("#", "[")) or "=" in line for line in lines if line), "a unit is directives, one a line"


def test_kinds_differ_in_what_starts_them() -> None:
    assert {"Restart=always", "WantedBy=multi-user.target", "Type=exec"} <= set(unit("web"))
    assert "Type=oneshot" in unit("cleanup")
    assert not {"Restart=always", "[Install]"} & set(unit("cleanup"))
    timer = render.timer(SITE, "cleanup", TOLD["processes"]["cleanup"], slot="green").splitlines()
    assert {"OnCalendar=*-*-* 03:15:00", "WantedBy=timers.target"} <= set(timer)


def test_sizes_and_networks_are_as_they_were_asked_for() -> None:
    assert {"MemoryMax=512M", "CPUQuota=100%"} <= set(unit("web"))
    assert "PrivateNetwork=yes" in unit("worker")
    assert "IPAddressDeny=any" in unit("cleanup")
    assert not [line for line in unit("worker") if line.startswith(("MemoryMax", "CPUQuota"))]


def test_the_digest_of_the_configuration_follows_what_is_rendered_and_nothing_else() -> None:
    def digest(told: dict[str, Any], environment: str = "prod") -> str:
        return render.configuration(SITE, told, environment=environment)

    def with_process(**more: Any) -> dict[str, Any]:
        return {**TOLD, "processes": {**TOLD["processes"], "web": {**TOLD["processes"]["web"], **more}}}

    same = digest(TOLD)
    assert digest(json.loads(json.dumps(TOLD))) == same
    others = [
        digest({**TOLD, "env": {"A": "1"}}),
        digest({**TOLD, "env": {"A": "2"}}),
        digest({**TOLD, "shared": ["media"]}),
        digest({**TOLD, "secrets": ["KEY", "OTHER"]}),
        digest(TOLD, "staging"),
        *(
            digest(with_process(**each))
            for each in ({"instances": 3}, {"memory_max": "1G"}, {"command": "serve {port}"})
        ),
    ]
    assert len({same, *others}) == len(others) + 1
    assert same != render.configuration(Site("other"), TOLD, environment="prod")


def rehearsed(**process: Any) -> str:
    """Return the unit of a web process on restored data."""
    return render.rehearsal(SITE, "web", {**TOLD["processes"]["web"], **process}, release=RELEASE, port=20000,
                            secrets=["KEY"], within="asking@1.service", database="/run/asking/1")  # fmt: skip


@pytest.mark.parametrize("network", ["any", "local", "none"])
def test_on_restored_data_a_process_is_apart_whatever_network_it_has_else(network: str) -> None:
    lines = rehearsed(network=network).splitlines()
    assert {"PrivateNetwork=yes", "JoinsNamespaceOf=asking@1.service", "BindsTo=asking@1.service"} <= set(lines)
    assert "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX" in lines
    assert not [line for line in lines if line.startswith("IPAddress")]


def test_on_restored_data_a_process_has_its_walls_and_its_secrets_and_writes_nothing_of_the_sites() -> None:
    text = rehearsed()
    live = render.unit(SITE, "web", TOLD["processes"]["web"], slot="blue", number=1, secrets=["KEY"])
    assert render.WALLS in text
    assert "ReadWritePaths" in live
    assert "ReadWritePaths" not in text
    for line in ("LoadCredential=KEY:/etc/ferryman/sites/notes/secrets/KEY", "MemoryMax=512M", "User=app-notes"):
        assert line in live.splitlines()
        assert line in text.splitlines()
    assert {"TemporaryFileSystem=/run:ro", "BindPaths=/run/asking/1:/run/postgresql"} <= set(text.splitlines())
    assert "WantedBy" not in text, "it never comes up with the host"
