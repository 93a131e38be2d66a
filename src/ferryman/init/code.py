"""What an application's Python says about it: the object that serves, pages of health, variables that it reads."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Files = Mapping[str, str]

WSGI = ("flask", "dash", "bottle", "falcon", "pyramid")
ASGI = ("fastapi", "starlette", "quart", "litestar")
OBJECT = re.compile(
    r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*(?:Flask|Dash|Bottle|FastAPI|Starlette|Quart|Litestar)\(", re.MULTILINE
)
FACTORY = re.compile(r"^def (create_app|make_app|build_app)\(([^)]*)\)", re.MULTILINE)
OUTERMOST = re.compile(r"^(app|application)\s*(?::[^=\n]+)?=(?!=)", re.MULTILINE)
MADE = re.compile(r"^(app|application)\s*=\s*\w+\(", re.MULTILINE)
# What is the more likely to try what a request needs comes first.
HEALTH = (
    "/health/ready",
    "/readyz",
    "/ready",
    "/healthz",
    "/health",
    "/api/health",
    "/_health",
    "/livez",
    "/up",
    "/ping",
)
ROOT = re.compile(r"""["']/["']""")
READS = re.compile(
    r"""(?:environ(?:\.get)?\s*[\[(]|getenv\(|\benv(?:\.\w+)?\(|\bconfig\()\s*["']([A-Z][A-Z0-9_]*)["']"""
)
READS_IN_JAVASCRIPT = re.compile(r"""process\.env(?:\.|\[["'])([A-Z][A-Z0-9_]*)""")
# What a random text serves as well as any: keys that sign sessions and the like.
SIGNING = re.compile(r"(SECRET|SESSION|COOKIE|CSRF|JWT|SIGNING)\w*KEY|SECRET|SESSION_SECRET|JWT_SECRET")
GIVEN = re.compile(
    r"HOST|PORT|DEBUG|PATH|HOME|DATABASE_URL|FLASK_\w+|NODE_ENV|DJANGO_SETTINGS_MODULE|FERRYMAN_\w+|PYTHON\w*|CREDENTIALS_DIRECTORY"
)
FIRST = ("wsgi", "asgi", "app", "main", "server", "__init__")


@dataclass(frozen=True)
class Serves:
    """What a server is told to serve: `module:name`; a factory is called for it."""

    target: str
    factory: bool = False


def modules(files: Files) -> list[tuple[str, str]]:
    """Return (module, text) of the application's Python, the likeliest to hold the application first."""
    found = []
    for path, text in files.items():
        if not path.endswith(".py") or re.search(
            r"(^|/)(tests?|docs|examples|migrations)/|(^|/)(test_|conftest|setup)", path
        ):
            continue
        parts = path.removesuffix(".py").removeprefix("src/").split("/")
        if all(part.isidentifier() for part in parts):
            last = FIRST.index(parts[-1]) if parts[-1] in FIRST else len(FIRST)
            name = ".".join(part for part in parts if part != "__init__")
            if name:
                found.append((len(parts), last, name, text))
    return [(name, text) for _, _, name, text in sorted(found)]


def serves(files: Files) -> Serves | None:
    """Return what serves: an object of a framework, one that a module calls `app`, or a factory that wants nothing."""
    every = modules(files)
    for name, text in every:
        if match := OBJECT.search(text):
            outermost = OUTERMOST.search(text)  # what wraps a framework's object is called so
            return Serves(f"{name}:{(outermost or match)[1]}")
    for name, text in every:
        if name.rpartition(".")[2] in FIRST and (match := MADE.search(text)):
            return Serves(f"{name}:{match[1]}")
    for name, text in every:
        for match in FACTORY.finditer(text):
            if all("=" in part for part in match[2].split(",") if part.strip()):
                return Serves(f"{name}:{match[1]}", factory=True)
    return None


def health(files: Files) -> str:
    """Return the path of a page that tells health, else the first page, else nothing."""
    texts = [text for _, text in modules(files)]
    return _page(texts) or ("/" if any(ROOT.search(text) for text in texts) else "")


def _page(texts: list[str]) -> str:
    return next((path for path in HEALTH for text in texts if re.search(rf"""["']{path}/?["']""", text)), "")


def reads(files: Files) -> tuple[list[str], list[str]]:
    """Return the variables that the code reads: keys that may be any random text, and others."""
    return _sorted(name for _, text in modules(files) for name in READS.findall(text))


def health_in_javascript(files: Files) -> str:
    """Return the path of a page that tells health, or nothing."""
    return _page(_javascript(files))


def reads_in_javascript(files: Files) -> tuple[list[str], list[str]]:
    """Return the variables that the code reads, as `reads` does."""
    return _sorted(name for text in _javascript(files) for name in READS_IN_JAVASCRIPT.findall(text))


def _javascript(files: Files) -> list[str]:
    return [text for path, text in files.items() if path.endswith((".js", ".mjs", ".cjs", ".ts"))]


def _sorted(names: Iterable[str]) -> tuple[list[str], list[str]]:
    found = sorted({name for name in names if not GIVEN.fullmatch(name)})
    keys = [name for name in found if SIGNING.search(name)]
    return keys, [name for name in found if name not in keys]
