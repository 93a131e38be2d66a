"""What an application wants of each environment: a database, keys, settings."""

from ferryman.init.model import Guess, word


def give(found: Guess, *, scheme: str, keys: list[str], others: list[str]) -> None:
    """Give a database (its address begins with `scheme`, "" for none) and keys that may be any text; name what is left.

    `keys` and `others` are variables that the code reads.
    """
    own = word(found.name)
    if scheme:
        found.database = True
        found.secrets["DATABASE_URL"] = f"{scheme}://{own}:{{{{ vault_{own}_database_password }}}}@127.0.0.1/{own}"
        found.say(
            "secret_env",
            "A PostgreSQL driver is among the dependencies: the environment lays out a database, and tells where.",
        )
    for name in keys:
        found.secrets[name] = f"{{{{ vault_{own}_{name.lower()} }}}}"
    if found.secrets:
        found.description["secret_env"] = list(found.secrets)
    if others:
        found.description["env"] = {}
        found.say(
            "env",
            f"The code also reads {', '.join(others)}: values in clear go here, secrets into secret_env and apps.yml.",
        )
