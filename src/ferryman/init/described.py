"""What an application that describes itself already wants from an environment. Its mistakes are told by the check."""

from typing import Any

import yaml

from ferryman import places
from ferryman.errors import Stop
from ferryman.init.guess import guess
from ferryman.init.model import Files, Guess, word

ANEW = "mend it and run this again, or remove it to have it guessed anew; nothing was written"


def read(text: str, files: Files, *, place: str) -> Guess:
    """Return the application's name, secrets and database as its description in `text` says; Stop if it has no name.

    The files beside it (path -> text) tell what a description does not: the database's driver, a lock that is missing.
    """
    try:
        told = places.values(text)
    except yaml.MarkedYAMLError as error:
        raise Stop(f"{place}:{places.line_of(error)}: this is not YAML: {places.said(error)}", hint=ANEW) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Stop(f"{place} cannot be read: {' '.join(str(error).split())}", hint=ANEW) from error
    name = told.get("name") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(name, str) or not name:
        raise Stop(f"{place} names no application: `name:` is missing there", hint=ANEW)
    found = Guess({"name": name})
    again = guess(files, directory=name)
    known = again.secrets if again and again.name == found.name else {}
    for secret in _texts(told.get("secrets")) + _texts(told.get("secret_env")):
        found.secrets[secret] = known.get(secret, f"{{{{ vault_{word(name)}_{word(secret)} }}}}")
    found.database = bool(again and again.database and "DATABASE_URL" in found.secrets)
    build = told.get("build")
    lock = build.get("lock") if isinstance(build, dict) else None
    if again and lock and lock == again.lock:
        found.description["build"] = {"lock": lock}
        found.missing = [each for each in again.missing if not each.command.startswith("edit ")]
    return found


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
