"""What is guessed from an application's files, and that every guess is a description that a deploy takes."""

import json
from textwrap import dedent

import pytest
import yaml
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryman.init import commands, describe
from ferryman.init.guess import guess
from ferryman.init.model import Guess, name_from

FLASK = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef home(): return 'x'\n"
LOCKED = "flask==3.1.0 --hash=sha256:0a\ngunicorn==23.0 \\\n    --hash=sha256:0b\n"
UV_LOCK = '[[package]]\nname = "uvicorn"\n'


def found(files: dict[str, str], directory: str = "shop") -> Guess:
    told = guess({name: dedent(text) for name, text in files.items()}, directory=directory)
    assert told is not None
    description.read(describe.text(told), source="ferryman.yml")
    return told


def web(files: dict[str, str]) -> str:
    return str(found(files).description["processes"]["web"]["command"])


def pyproject(*dependencies: str, name: str = "shop") -> str:
    return f'[project]\nname = "{name}"\ndependencies = {json.dumps(dependencies)}\n'


# Python: server, object, lock


@pytest.mark.parametrize(
    ("needs", "code", "command"),
    [
        (["flask", "gunicorn"], {"app.py": FLASK}, "gunicorn app:app --bind {host}:{port}"),
        (["Flask", "waitress"], {"app.py": FLASK}, "waitress-serve --host={host} --port={port} app:app"),
        (["flask", "gunicorn"], {"shop/__init__.py": "def create_app(config=None):\n"}, "gunicorn 'shop:create_app()'"),
        (["flask", "waitress"], {"src/shop/web.py": "def create_app():\n"}, "{port} --call shop.web:create_app"),
        (
            ["fastapi[standard]", "uvicorn"],
            {"shop/main.py": "api = FastAPI()\n"},
            "uvicorn shop.main:api --host {host}",
        ),
        (["starlette", "hypercorn"], {"main.py": "app: Starlette = Starlette()\n"}, "hypercorn main:app --bind"),
        (
            ["fastapi", "uvicorn"],
            {"main.py": "def create_app():\n"},
            "uvicorn main:create_app --host {host} --port {port}",
        ),
        (["fastapi", "uvicorn"], {"main.py": "api = FastAPI()\napp: X = wrap(api)\n"}, "uvicorn main:app "),
        (["unheard-of", "gunicorn"], {"wsgi.py": "application = load('x')\n"}, "gunicorn wsgi:application"),
    ],
)
def test_the_server_among_the_dependencies_serves_what_the_code_makes(
    needs: list[str], code: dict[str, str], command: str
) -> None:
    told = found({"pyproject.toml": pyproject(*needs), "uv.lock": "", **code})
    assert command in told.description["processes"]["web"]["command"]
    assert not told.missing


def test_the_application_is_not_looked_for_in_tests_and_migrations() -> None:
    files = {"requirements.txt": LOCKED, "tests/app.py": FLASK, "test_app.py": FLASK, "inner/deep/site.py": FLASK}
    assert web(files).startswith("gunicorn inner.deep.site:app ")


def test_a_factory_that_wants_something_is_none_to_call() -> None:
    told = found({"requirements.txt": LOCKED, "app.py": "def create_app(config):\n"})
    assert [each.command for each in told.missing] == ["edit ferryman.yml"]


def test_a_server_that_is_not_among_the_dependencies_is_missing_and_said_how_to_be_had() -> None:
    first = found({"pyproject.toml": pyproject("flask"), "app.py": FLASK}).missing
    assert [each.command for each in first] == ["uv add --no-sync gunicorn", "uv lock"]
    first = found({"requirements.txt": "flask\n", "app.py": FLASK}).missing
    assert first[0].command == "echo gunicorn >> requirements.txt"


@pytest.mark.parametrize(
    ("files", "lock", "makes"),
    [
        ({"requirements.txt": LOCKED}, "requirements.txt", ""),
        ({"requirements.txt": "flask==3.1.0\ngunicorn\n"}, "requirements.lock", "uv pip compile"),
        ({"requirements.in": "flask\ngunicorn\n", "requirements.txt": LOCKED}, "requirements.txt", ""),
        ({"requirements.txt": "flask\n", "requirements.lock": LOCKED, "uv.lock": UV_LOCK}, "requirements.lock", ""),
        ({"pyproject.toml": pyproject("flask", "gunicorn")}, "uv.lock", "uv lock"),
        ({"pyproject.toml": pyproject("flask", "gunicorn"), "uv.lock": ""}, "uv.lock", ""),
        ({"pyproject.toml": "[tool.ruff]\n", "requirements.txt": LOCKED}, "requirements.txt", ""),
        (
            {"pyproject.toml": "[tool.poetry.dependencies]\ngunicorn = '*'\n", "poetry.lock": "x"},
            "requirements.txt",
            "poetry",
        ),
        ({"Pipfile": "", "Pipfile.lock": "", "manage.py": ""}, "requirements.txt", "pipenv"),
    ],
)
def test_a_lock_is_named_and_one_that_is_not_there_is_missing(files: dict[str, str], lock: str, makes: str) -> None:
    told = found({"app.py": FLASK, **files})
    assert told.description["build"]["lock"] == lock
    locks = [each.command for each in told.missing if "gunicorn" not in each.command]
    assert bool(locks) == bool(makes)
    assert all(command.startswith(makes) for command in locks)


def test_what_the_project_calls_itself_wins_over_its_directory() -> None:
    assert found({"pyproject.toml": pyproject("flask", name="My_Shop")}).name == "my-shop"
    assert found({"requirements.txt": "flask"}, "2 Shops!").name == "shops"


@pytest.mark.parametrize(
    ("text", "path"), [("'/healthz'", "/healthz"), ("'/health', '/health/ready/'", "/health/ready"), ("'/'", "/")]
)
def test_a_page_of_health_is_asked_where_the_code_has_one(text: str, path: str) -> None:
    told = found({"requirements.txt": LOCKED, "app.py": f"{FLASK.split('@')[0]}\nroute({text})\n"})
    assert told.description["processes"]["web"]["health"] == {"path": path}


def test_without_any_page_web_is_only_asked_whether_it_listens() -> None:
    told = found({"requirements.txt": LOCKED, "app.py": "app = Flask(__name__)\n"})
    assert "health" not in told.description["processes"]["web"]
    assert any("only asked whether it listens" in remark.text for remark in told.remarks)


# Django, databases, secrets


def test_django_is_served_by_its_wsgi_module_and_migrated() -> None:
    told = found(
        {
            "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings.prod')\n",
            "config/wsgi.py": "",
            "orders/migrations/0001_initial.py": "",
            "pyproject.toml": pyproject("django", "gunicorn", "psycopg2-binary"),
            "uv.lock": "",
        }
    )
    assert told.description["processes"]["web"]["command"].startswith("gunicorn config.wsgi:application ")
    migrations = {"command": "python manage.py migrate --noinput", "paths": ["orders/migrations"]}
    assert told.description["migrations"] == migrations
    assert told.secrets == {"DATABASE_URL": "postgresql://shop:{{ vault_shop_database_password }}@127.0.0.1/shop"}
    assert any("ALLOWED_HOSTS" in remark.text for remark in told.remarks)


def test_alembic_is_asked_for_the_revision_and_its_directory_is_watched() -> None:
    locked = f"{LOCKED}psycopg==3.2 --hash=sha256:0c\n"
    told = found(
        {"requirements.txt": locked, "app.py": FLASK, "alembic.ini": "script_location = %(here)s/db/versions\n"}
    )
    assert told.description["migrations"]["revision"] == "alembic current"
    assert told.description["migrations"]["paths"] == ["db/versions"]


@pytest.mark.parametrize(
    ("needs", "scheme"),
    [
        (["sqlalchemy", "psycopg"], "postgresql+psycopg"),
        (["sqlalchemy", "asyncpg"], "postgresql+asyncpg"),
        (["flask-sqlalchemy", "psycopg2"], "postgresql"),
        (["psycopg[binary]"], "postgresql"),
    ],
)
def test_a_postgresql_driver_brings_a_database_in_its_own_words(needs: list[str], scheme: str) -> None:
    told = found({"pyproject.toml": pyproject("flask", "gunicorn", *needs), "uv.lock": "", "app.py": FLASK})
    assert told.database
    assert told.secrets["DATABASE_URL"].startswith(f"{scheme}://shop:")
    assert told.description["secret_env"] == ["DATABASE_URL"]


def test_keys_that_sign_are_made_and_other_variables_are_named() -> None:
    code = FLASK + "os.environ['SECRET_KEY']; os.getenv('STRIPE_API_KEY'); os.environ.get('PORT')\n"
    told = found({"requirements.txt": LOCKED, "app.py": code})
    assert told.secrets == {"SECRET_KEY": "{{ vault_shop_secret_key }}"}
    assert any("STRIPE_API_KEY" in remark.text for remark in told.remarks)
    assert "STRIPE_API_KEY" in describe.text(told)


# Node


def node(scripts: dict[str, str], needs: dict[str, str] | None = None, **files: str) -> Guess:
    package = json.dumps({"name": "shop", "scripts": scripts, "dependencies": needs or {}})
    code = {name.replace("_", "."): text for name, text in files.items()}
    return found({"package.json": package, "package-lock.json": "{}", **code})


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("node server.js", "node server.js"),
        ("NODE_ENV=production node --enable-source-maps dist/main.js", "node --enable-source-maps dist/main.js"),
        ("npm run build && node dist/main.js", "node dist/main.js"),
        ("next start", "next start -H {host} -p {port}"),
        ("node server.js --port ${PORT:-3000}", "node server.js --port {port}"),
        ("MODE=x node a.js", "sh -c 'MODE=x node a.js'"),
    ],
)
def test_a_program_for_node_is_started_without_npm(start: str, command: str) -> None:
    told = node({"start": start})
    assert told.description["runtime"] == {"kind": "node"}
    assert told.description["processes"]["web"]["command"] == command
    assert not told.missing


@pytest.mark.parametrize("start", ["npm run serve", "nodemon app.js", "x 'y"])
def test_what_does_not_belong_on_a_host_is_not_started_there(start: str) -> None:
    assert [each.command for each in node({"start": start}).missing] == ["edit ferryman.yml"]


def test_node_code_tells_health_keys_and_its_database() -> None:
    code = "app.get('/healthz', f); process.env.SESSION_SECRET; process.env['MAIL_URL']; process.env.PORT\n"
    told = node({"start": "node app.js", "build": "tsc"}, {"pg": "8"}, app_js=code)
    assert told.description["processes"]["web"]["health"] == {"path": "/healthz"}
    assert list(told.secrets) == ["DATABASE_URL", "SESSION_SECRET"]
    assert told.database
    assert any("MAIL_URL" in remark.text for remark in told.remarks)
    assert told.description["build"]["commands"] == ["npm ci", "npm run build"]


def test_a_start_that_only_shows_a_front_end_is_none() -> None:
    told = node({"start": "vite", "build": "vite build"}, {"vite": "6"})
    assert told.description["runtime"] == {"kind": "static"}
    assert node({"start": "serve ."}, index_html="x").description["runtime"] == {"kind": "static"}


# What is said outright


def test_a_procfile_wins_over_a_guess() -> None:
    told = found(
        {
            "requirements.txt": LOCKED,
            "app.py": FLASK,
            "Procfile": "web: gunicorn other:app\nrelease: flask db upgrade\ncelery-worker: celery -A other worker\n",
        }
    )
    assert told.description["processes"] == {
        "web": {"kind": "web", "command": "gunicorn other:app --bind {host}:{port}", "health": {"path": "/"}},
        "celeryworker": {"kind": "worker", "command": "celery -A other worker"},
        "release": {"kind": "once", "command": "flask db upgrade"},
    }
    assert "migrations" not in told.description


def test_a_dockerfiles_last_command_and_port_are_taken() -> None:
    text = (
        'FROM x\nCMD ["old"]\nFROM y\nEXPOSE 8000/tcp\nCMD ["uvicorn", "a:b", "--host", "0.0.0.0", "--port", "8000"]\n'
    )
    assert web({"requirements.txt": LOCKED, "Dockerfile": text}) == "uvicorn a:b --host {host} --port {port}"


def test_a_program_of_any_kind_is_started_as_its_procfile_says() -> None:
    told = found({"Procfile": "web: bin/server -listen :$PORT\n", "main.go": "package main"})
    assert told.description["runtime"] == {"kind": "binary"}
    assert told.description["processes"]["web"]["command"] == "bin/server -listen :{port}"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("gunicorn -b 0.0.0.0:${PORT:-5000} a:b", "gunicorn -b {host}:{port} a:b"),
        ("gunicorn 'a:make()'", "gunicorn 'a:make()' --bind {host}:{port}"),
        ("exec uvicorn a:b", "uvicorn a:b --host {host} --port {port}"),
        ("cd web && serve $PORT", "sh -c 'cd web && serve {port}'"),
        ("MODE=x serve", "sh -c 'MODE=x serve'"),
        ("serve --name \"$NAME\"", "sh -c 'serve --name \"$NAME\"'"),
    ],
)  # fmt: skip
def test_a_line_for_a_shell_becomes_a_command(line: str, command: str) -> None:
    assert commands.adapted(line) == command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("bin/server --port 8000", "bin/server --port {port}"),
        ("gunicorn -b 127.0.0.1:8000 a:b", "gunicorn -b 127.0.0.1:{port} a:b"),
        ("bin/server {port} --listen 1024 -b 32768", "bin/server {port} --listen 1024 -b 32768"),
        ("serve 0.0.0.0:80", "serve {host}:{port}"),
        ("serve --port {port} --metrics 0.0.0.0:9000", "serve --port {port} --metrics {host}:9000"),
        ("serve --cache redis://cache:6379", "serve --cache redis://cache:6379"),
    ],
)
def test_a_port_of_its_own_becomes_the_one_that_a_slot_is_given(line: str, command: str) -> None:
    assert commands.adapted(line, web=True) == command


@pytest.mark.parametrize(
    ("files", "quiet"),
    [
        ({"requirements.txt": "flask\ngunicorn\n"}, True),
        ({"requirements.txt": LOCKED}, False),
        ({"requirements.txt": "flask\ngunicorn<25\n"}, False),
        ({"requirements.txt": "flask\ngunicorn==25.1.0\n"}, True),
        ({"pyproject.toml": pyproject("flask", "gunicorn"), "uv.lock": UV_LOCK}, True),
        (
            {
                "pyproject.toml": pyproject("gunicorn"),
                "uv.lock": '[[package]]\nname = "gunicorn"\nversion = "23.0.0"\n',
            },
            False,
        ),
        ({"requirements.in": "gunicorn\n", "requirements.lock": LOCKED.replace("23.0", "27.0.1")}, True),
        ({"requirements.in": "gunicorn\n", "requirements.lock": LOCKED}, False),
    ],
)
def test_gunicorn_is_kept_from_writing_a_socket_where_it_knows_the_word(files: dict[str, str], quiet: bool) -> None:
    assert web({**files, "app.py": FLASK}).endswith(" --no-control-socket") is quiet


# Files alone


def test_files_are_served_from_where_the_first_page_lies() -> None:
    told = found({"public/index.html": "x"})
    assert (told.description["runtime"], told.description["build"]["root"]) == ({"kind": "static"}, "public")


def test_a_page_in_the_top_directory_does_not_serve_the_project_with_it() -> None:
    left_out = found({"index.html": "x"}).description["build"]["exclude"]
    assert {"inventories", "group_vars", "tasks.py", "ferryman.yml", ".git*", ".env*"} <= set(left_out)


def test_a_front_end_is_built_and_its_result_served() -> None:
    package = json.dumps({"name": "@team/front", "scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}})
    told = found({"package.json": package, "package-lock.json": "{}", "index.html": "x"})
    assert told.name == "team-front"
    assert told.description["build"]["commands"] == ["npm ci", "npm run build"]
    assert told.description["build"]["root"] == "dist"
    assert [each.command for each in found({"package.json": package}).missing] == ["npm install --package-lock-only"]


def test_nothing_is_guessed_from_nothing() -> None:
    assert guess({"notes.py": "x = 1"}, directory="x") is None


# Whatever lies there


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
PARTS = st.sampled_from(
    [
        pyproject("flask", "gunicorn"), pyproject("fastapi", "psycopg", "alembic"),
        "[project]\nname = 3\ndependencies = 'x'\n",
        "[tool]\npoetry = 1\n", LOCKED, "flask\n", "web: gunicorn a:b $PORT\n", "web: 'open\n", "release: x && y\n",
        "migrate: a\n1x: b\nweb2: c\nWEB: d\n", 'CMD ["a", 1]\n', "CMD a \\\n b\n", "ENTRYPOINT /x\nEXPOSE 80 443\n",
        '{"scripts": {"build": 1}, "name": ["x"]}',
        '{"scripts": {"start": "a && node b"}}', '{"scripts": {"build": "x", "start": "y"}, "main": 1}', "[1]", FLASK,
        "def create_app(a, b=1):\n", "application = x()\n", "os.environ['A_SECRET_KEY'] env('B')\n",
        "script_location = a b\n",
        "'DJANGO_SETTINGS_MODULE', 'a.b'", "'/healthz' '/'",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["pyproject.toml", "requirements.txt", "requirements.in", "uv.lock", "poetry.lock", "Procfile", "Dockerfile",
     "manage.py", "alembic.ini", "package.json", "package-lock.json", "index.html", "public/index.html", "app.py",
     "a-b/wsgi.py",
     "x/wsgi.py", "src/a/__init__.py", "__init__.py", "x/migrations/0001.py", "docs/conf.py", "setup.py"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(PARTS, TEXT, st.lists(PARTS | TEXT, max_size=4).map("\n".join))), TEXT)
def test_whatever_lies_there_what_is_written_is_a_description_that_a_deploy_takes(
    files: dict[str, str], name: str
) -> None:
    told = guess(files, directory=name)
    if told is None:
        return
    read = description.read(describe.text(told), source="ferryman.yml")
    assert read["name"] == told.name
    assert set(read["secret_env"]) == set(told.secrets)
    given_to = read["processes"]["web"]
    assert given_to["command"] or read["runtime"]["kind"] == "static"


@given(TEXT)
def test_any_text_makes_a_name(text: str) -> None:
    minimal = yaml.safe_dump({"format": 1, "name": name_from(text), "runtime": {"kind": "static"}})
    assert description.read(minimal, source="x")["name"] == name_from(text)
