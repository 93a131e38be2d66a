"""What this machine needs to reach packages, so that its sandbox hosts can reach them too.

Read from the machine's own configuration each time, put into images and hosts, and never written to the project.
"""

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ferryman.sandbox.model import DEBIANS

# Files of a sandbox host.
CA_BUNDLE = "etc/ssl/sandbox-ca.pem"
SOURCES = "etc/apt/sources.list.d/debian.sources"
APT_CONF = "etc/apt/apt.conf.d/80sandbox"
LOCAL_CAS = "usr/local/share/ca-certificates"
# The settings of pip that say where packages come from; local directories and constraints are no use on a host.
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "cert")
INDEX_FORMAT = "$(CREATED_BY) $(ORIGIN) $(CODENAME) $(RELEASE) $(COMPONENT) $(REPO_URI)"


def debian_sources(targets: str, codename: str) -> str:
    """Return deb822 sources of a Debian for the hosts from what `apt-get indextargets` says of this machine's own.

    A machine of another Debian names the same archives; "" if it knows no Debian.
    """
    known = [codename, *(name for name in DEBIANS.values() if name != codename)]
    found = next(filter(None, (_archives(targets, name) for name in known)), {})
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {codename}{of}\nComponents: {' '.join(components)}\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for (uri, of), components in sorted(found.items())
    )


def _archives(targets: str, codename: str) -> dict[tuple[str, str], list[str]]:
    """Return the components of each archive of a Debian, by its address and what follows the codename in its suite."""
    found: dict[tuple[str, str], list[str]] = {}
    for line in targets.splitlines():
        words = line.split()
        if len(words) != 6:  # a source without an Origin leaves a gap
            continue
        created_by, origin, of, suite, component, uri = words
        if (created_by, origin) == ("Packages", "Debian") and of.split("-")[0] == codename == suite.split("-")[0]:
            components = found.setdefault((uri, suite.removeprefix(codename)), [])
            if component not in components:
                components.append(component)
    return found if any(not of for _, of in found) else {}


def one_line_sources(deb822: str) -> list[str]:
    """Return `deb ...` lines, the form that mmdebstrap takes, for sources written by `debian_sources`."""
    lines = []
    for stanza in deb822.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        lines.append(f"deb {fields['URIs']} {fields['Suites']} {fields['Components']}")
    return lines


def apt_settings(dump: str, *, https: bool) -> str:
    """Return apt's configuration for the hosts from `apt-config dump`: its proxies (not those on this machine's own
    loopback, which means another machine in there), and the CA bundle where sources are reached by HTTPS."""
    lines = ['Acquire::Retries "3";']
    for line in dump.splitlines():
        key, _, value = line.partition(" ")
        if key.lower() in ("acquire::http::proxy", "acquire::https::proxy") and not is_loopback(value):
            lines.append(line)
    if https:
        lines.append(f'Acquire::https::CAInfo "/{CA_BUNDLE}";')
    return "\n".join(lines) + "\n"


def is_loopback(address: str) -> bool:
    """Say whether a URL leads to the machine that uses it."""
    return any(name in address for name in ("//127.", "//localhost", "//[::1]", "file:"))


def pip_settings(files: Iterable[Path], environment: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings about where packages come from; later files win, and the environment over all."""
    found: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue  # pip itself will say so, where it matters
        for section in ("global", "install"):
            if parser.has_section(section):
                found.update({key: value for key, value in parser.items(section) if key in PIP_KEYS})
    for key in PIP_KEYS:
        if value := environment.get("PIP_" + key.upper().replace("-", "_")):
            found[key] = value
    result = {}
    for key, value in found.items():
        if kept := [word for word in value.split() if not is_loopback(word)]:
            result[key] = " ".join(kept)
    return result


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """Return where pip looks for its settings, the weakest first (pip's manual, "Configuration")."""
    home = Path.home()
    shared = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    own = environment.get("PIP_CONFIG_FILE")
    return [
        *(Path(directory) / "pip/pip.conf" for directory in reversed(shared)),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        user / "pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(own)] if own and own != os.devnull else []),
    ]


def pip_conf(settings: Mapping[str, str]) -> str:
    """Return a host's /etc/pip.conf, or "" where nothing needs saying; the CA bundle has its own place there."""
    if not settings:
        return ""
    lines = [f"{key} = /{CA_BUNDLE}" if key == "cert" else f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(["[global]", *lines, ""])


def _said(*words: str) -> str:
    if not shutil.which(words[0]):
        return ""
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60).stdout


def ca_bundle(settings: Mapping[str, str], environment: Mapping[str, str]) -> Path | None:
    """Return the file of certificates that this machine's programs trust, if it names one."""
    for name in (settings.get("cert"), environment.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt"):
        if name and Path(name).is_file():
            return Path(name)
    return None


def image_files(debian: int) -> dict[str, bytes]:
    """Return what an image of a Debian must hold to reach packages: path without the leading slash -> content."""
    files: dict[str, bytes] = {}
    sources = debian_sources(_said("apt-get", "indextargets", "--format", INDEX_FORMAT), DEBIANS[debian])
    if sources:
        files[SOURCES] = sources.encode()
    files[APT_CONF] = apt_settings(_said("apt-config", "dump"), https="https://" in sources).encode()
    bundle = ca_bundle(pip_settings(pip_files(os.environ), os.environ), os.environ)
    if bundle:
        files[CA_BUNDLE] = bundle.read_bytes()
    for path in sorted(Path("/", LOCAL_CAS).rglob("*.crt")):
        files[f"{LOCAL_CAS}/{path.name}"] = path.read_bytes()
    return files


def host_pip_conf() -> str:
    """Return /etc/pip.conf for a host of the sandbox, or "". It may hold an index's password: hosts only, no image."""
    return pip_conf(pip_settings(pip_files(os.environ), os.environ))
