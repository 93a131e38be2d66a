"""Settings and secrets of copies off site, written once they were tried."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.backup import copies
from ansible_collections.ferryman.ops.plugins.module_utils.backup import records as of
from ansible_collections.ferryman.ops.plugins.module_utils.backup.archive import NAME, SETTINGS
from ansible_collections.ferryman.ops.plugins.module_utils.backup.engines.restic import (
    REPOSITORY,
    Place,
    Restic,
    Unusable,
)
from ansible_collections.ferryman.ops.plugins.module_utils.backup.placing import Placing

KEPT = ("repository", "region", "keep_days", "every_s", "parts")
LEAST = 20  # characters, as of the other passphrases
KEY = re.compile(r"[A-Za-z0-9/+=._~-]+")
REGION = re.compile(r"[a-z0-9-]*")


def problems(wished: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with the wishes, in sentences that hold no secret."""
    found = [] if NAME.fullmatch(wished["name"]) else [f"backup_name: {wished['name']!r} is no name of an environment"]
    if not wished["repository"]:
        return found
    if not REPOSITORY.fullmatch(wished["repository"]):
        found.append(
            f"backup_offsite_repository: {wished['repository']!r} is no bucket: write s3:https://HOST/BUCKET/PATH"
        )
    found += [
        f"backup_offsite_{key}: it is empty, or holds what no key holds; take the provider's"
        for key in ("access_key", "secret_key")
        if not KEY.fullmatch(wished[key])
    ]
    if len(wished["password"]) < LEAST:
        found.append(
            f"backup_offsite_password: at least {LEAST} characters, since whoever has the bucket may guess for years"
        )
    if wished["certificate"] and "-----BEGIN CERTIFICATE-----" not in wished["certificate"]:
        found.append("backup_offsite_certificate: it is no certificate in PEM")
    if not REGION.fullmatch(wished["region"]):
        found.append(f"backup_offsite_region: {wished['region']!r} is no name of a region")
    return found


def write(wished: dict[str, Any], placing: Placing) -> None:
    """Have settings and secrets as wished, those that are new once they opened the repository; or none."""
    name = wished["name"]
    if not wished["repository"]:
        _forget(name, placing)
        return
    told = of.written({"format": of.FORMAT, "name": name, **{key: wished[key] for key in KEPT}})
    given = {key: wished[key] for key in copies.SECRETS}
    if _known(name) != (wished["repository"], given) and not placing.pretend:
        place = Place(repository=wished["repository"], region=wished["region"], **given)
        _open(Restic(place, name), make=wished["make"])
    placing.directory(SETTINGS)
    placing.directory(copies.secrets(name), 0o700)
    for key, text in given.items():
        placing.file(f"{copies.secrets(name)}/{key}", text, 0o600)
    placing.file(copies.settings_file(name), told)


def _open(works: Restic, *, make: bool) -> None:
    if works.is_there():
        return
    if not make:
        raise Unusable(f"{works.place.repository}: no repository is there, so nothing can come from it")
    works.initialise()


def _known(name: str) -> tuple[str, dict[str, str]] | None:
    """Return the repository and the secrets that were tried before; None where there were none."""
    told = copies.settings(name)
    if told is None:
        return None
    try:
        place = copies.place(name, told)
    except FileNotFoundError:
        return None
    return told["repository"], {key: getattr(place, key) for key in copies.SECRETS}


def _forget(name: str, placing: Placing) -> None:
    """Send nothing any more: settings first, since they are what says that copies are sent."""
    secrets = [f"{copies.secrets(name)}/{key}" for key in copies.SECRETS]
    for path in [copies.settings_file(name), *secrets]:
        if os.path.exists(path):
            placing.paths.append(path)
            if not placing.pretend:
                os.unlink(path)
