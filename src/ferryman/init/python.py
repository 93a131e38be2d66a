"""How a Python application runs: from its dependencies, its Procfile or Dockerfile, and its code."""

import re
import shlex
import sys
from collections.abc import Mapping

from ferryman.init import code, dependencies, wants
from ferryman.init.dependencies import Dependencies, Missing
from ferryman.init.model import Files, Guess, begin, word
from ferryman.init.starts import started

DRIVERS = {"psycopg", "psycopg2", "psycopg2-binary", "psycopg-binary", "asyncpg", "pg8000"}
SERVERS = {
    "gunicorn": "gunicorn {target} --bind {{host}}:{{port}} --threads 4 --keep-alive 65{quiet}",
    "waitress": "waitress-serve --host={{host}} --port={{port}} {call}{target}",
    "uvicorn": "uvicorn {target} --host {{host}} --port {{port}} --timeout-keep-alive 65{factory}",
    "hypercorn": "hypercorn {target} --bind {{host}}:{{port}} --keep-alive 65",
}
# Into the home directory, which an application has not got: its log would begin with an error at each start.
WRITES_A_SOCKET = (25, 1)
WSGI, ASGI = ("gunicorn", "waitress"), ("uvicorn", "hypercorn")


def describe(files: Files, directory: str) -> Guess:
    """Return how the Python application in these files runs."""
    about = dependencies.python(files)
    found = begin(about.project or directory, "python")
    found.missing += about.missing
    build = found.description["build"]
    if about.lock:
        build["lock"] = about.lock
        found.say("build", f"Dependencies are installed from {about.lock}, which must be in git.")
    if about.python:
        found.say("runtime", f"It wants Python {about.python}: Debian 12 has 3.11, Debian 13 has 3.13.")
    _own_front_end(files, found)
    _processes(files, about, found)
    _migrations(files, found)
    keys, others = code.reads(files)
    wants.give(found, scheme=_scheme(about), keys=keys, others=others)
    return found


def _own_front_end(files: Files, found: Guess) -> None:
    scripts = dependencies.table(dependencies.package_json(files), "scripts")
    if "build" in scripts and "package-lock.json" in files:
        found.description["build"] = {"commands": ["npm ci", "npm run build"], **found.description["build"]}
        found.description["build"]["exclude"].append("node_modules")
        found.say("build", "package.json has a script `build`: it runs on your machine, in an export of the commit.")


def _processes(files: Files, about: Dependencies, found: Guess) -> None:
    """Take the processes that a Procfile or a Dockerfile names, else the one that the code makes likely."""
    processes = started(files, found)
    if "web" not in processes:
        command = _django(files, about, found) if "manage.py" in files else _served(files, about, found)
        processes = {"web": {"kind": "web", "command": command}, **processes}
    path = code.health(files)
    if path:
        processes["web"]["health"] = {"path": path}
    if path in ("", "/"):
        asked = "asked for `/` and must answer 200" if path else "only asked whether it listens"
        found.say(
            "processes",
            f"No page of health was found, so web is {asked}: a page that tries what a request needs is better.",
        )
    found.description["processes"] = processes


def _served(files: Files, about: Dependencies, found: Guess) -> str:
    """Return the command that serves what the code makes."""
    serves = code.serves(files)
    if serves is None:
        serves = code.Serves(f"{found.name.replace('-', '_')}:app")
        found.missing.append(
            Missing("edit ferryman.yml", "no object that serves was found: name it in processes.web.command")
        )
    fit = ASGI if about.names.intersection(code.ASGI) else WSGI
    known = [name for name in (*fit, *ASGI, *WSGI) if name in about.names]
    return _command(known, serves, found, wanted=fit[0], files=files, versions=about.versions)


def _django(files: Files, about: Dependencies, found: Guess) -> str:
    match = re.search(r"""DJANGO_SETTINGS_MODULE["'],\s*["']([\w.]+)["']""", files["manage.py"])
    package = match[1].split(".")[0] if match else word(found.name)
    fit = ASGI if about.names.isdisjoint(WSGI) and about.names.intersection(ASGI) else WSGI
    kind = "asgi" if fit == ASGI else "wsgi"
    inner = [path for path in files if path.endswith(f"/{kind}.py")]
    module = inner[0].removesuffix(".py").replace("/", ".") if len(inner) == 1 else f"{package}.{kind}"
    if not all(part.isidentifier() for part in module.split(".")):
        module = f"{package}.{kind}"
    found.say("processes", "ALLOWED_HOSTS needs the domains, and 127.0.0.1 for the question after health.")
    if "migrations" not in found.description:
        paths = sorted({path.rpartition("/")[0] for path in files if re.fullmatch(r".+/migrations/[^/]+\.py", path)})
        found.description["migrations"] = {"command": "python manage.py migrate --noinput", "paths": paths}
        found.say("migrations", "Run once before the new version starts; it must leave the version before it working.")
    known = [name for name in fit if name in about.names]
    return _command(
        known, code.Serves(f"{module}:application"), found, wanted=fit[0], files=files, versions=about.versions
    )


def _command(
    known: list[str], serves: code.Serves, found: Guess, *, wanted: str, files: Files, versions: Mapping[str, str]
) -> str:
    """Return the command of the first of these servers; without any, of the one that is wanted, and say so."""
    server = known[0] if known else wanted
    if not known:
        lock = found.description["build"].get("lock")
        source = next((name for name in ("requirements.in", "requirements.txt") if name in files and name != lock), "")
        how = f"echo {server} >> {source}" if source else f"uv add --no-sync {server}"
        why = f"no server for production is among the dependencies, and {server} is a good one"
        found.missing.insert(0, Missing(how, why, (source,) if source else ("pyproject.toml", "uv.lock")))
    factory, call = "", ""
    target = serves.target
    if serves.factory:
        factory, call = " --factory", "--call "
        target = f"{target}()" if server == "gunicorn" else target
    found.say("processes", f"{server} serves {serves.target}{', which it calls' if serves.factory else ''}.")
    quiet = " --no-control-socket" if _number(versions.get("gunicorn", "")) >= WRITES_A_SOCKET else ""
    return SERVERS[server].format(target=shlex.quote(target), factory=factory, call=call, quiet=quiet)


def _number(version: str) -> tuple[int, ...]:
    """Return a version's first two numbers; one that is not pinned will be the newest."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) if version else (sys.maxsize,)


def _migrations(files: Files, found: Guess) -> None:
    if "migrations" in found.description or "alembic.ini" not in files:
        return
    match = re.search(r"^script_location\s*=\s*(?:%\(here\)s/)?([\w./-]+)", files["alembic.ini"], re.MULTILINE)
    paths = [match[1].strip("/")] if match else []
    found.description["migrations"] = {
        "command": "alembic upgrade head",
        "revision": "alembic current",
        "paths": paths,
    }
    found.say("migrations", "Run once before the new version starts; it must leave the version before it working.")


def _scheme(about: Dependencies) -> str:
    """Return how the address of a database begins, or "" without a driver for one.

    SQLAlchemy wants to be told there which driver to take; other libraries know one name alone.
    """
    if not about.names & DRIVERS:
        return ""
    if "sqlalchemy" not in about.names and "flask-sqlalchemy" not in about.names:
        return "postgresql"
    driver = next((name for name in ("psycopg", "asyncpg", "pg8000") if name in about.names), "")
    return f"postgresql+{driver}" if driver else "postgresql"
