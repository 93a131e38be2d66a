"""How a host is reached, as an environment's files say it: Ansible's own options, which no role's spec knows.

A name that is misspelt is nobody's and therefore no mistake to Ansible: it goes by a default, and with that to another
host. Other connections have names of their own, so a strange one is told only where it looks like one of these.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from ferryman import specs, variables
from ferryman.places import Problem
from ferryman.variables import Loaded

PREFIX = "ansible_"
# Those of the plugins ssh, sudo and sh, and of every connection; a test holds them against Ansible's own description,
# which takes a second to read.
NAMES: dict[str, tuple[str, ...]] = {
    "int": ("port", "ssh_port", "ssh_retries", "ssh_timeout", "ssh_verbosity", "timeout"),
    "bool": (
        "become", "host_key_checking", "pipelining", "sftp_batch_mode", "shell_allow_world_readable_temp",
        "ssh_host_key_checking", "ssh_pipelining", "ssh_use_tty",
    ),
    "str": (
        "async_dir", "become_exe", "become_flags", "become_method", "become_pass", "become_password", "become_user",
        "common_remote_group", "connection", "control_path", "control_path_dir", "host", "password", "private_key",
        "private_key_file", "private_key_passphrase", "python_interpreter", "remote_tmp", "scp_executable",
        "scp_extra_args", "sftp_executable", "sftp_extra_args", "shell_executable", "shell_type", "ssh_args",
        "ssh_common_args", "ssh_executable", "ssh_extra_args", "ssh_host", "ssh_pass", "ssh_password",
        "ssh_password_mechanism", "ssh_pkcs11_provider", "ssh_private_key", "ssh_private_key_file",
        "ssh_private_key_passphrase", "ssh_transfer_method", "ssh_user", "sshpass_prompt", "sudo_chdir", "sudo_exe",
        "sudo_flags", "sudo_pass", "sudo_user", "user",
    ),
}  # fmt: skip
SECRET = ("pass", "password", "passphrase", "private_key")
NEAR = 0.75  # of the letters: `hots` is `host`, and the fact `hostname` is not
SLIPS = 1  # letters too many or too few


def option(name: str, kind: str) -> specs.Option:
    """Return an option as a role's spec would have it."""
    found: specs.Option = {"type": kind, "default": None, "description": "of Ansible, by which a host is reached"}
    if name.endswith(SECRET):
        found["no_log"] = True
    if name.endswith("port"):
        found["bounds"] = {"least": 1, "most": 65535}
    elif kind == "int":
        found["bounds"] = {"least": 0}
    return found


OPTIONS = {PREFIX + name: option(name, kind) for kind, names in NAMES.items() for name in names}


def misread(loaded: Loaded) -> Iterator[Problem]:
    """Return options that are misspelt, and values that Ansible would not take, or not as they are meant."""
    known = [name.removeprefix(PREFIX) for name in OPTIONS]
    for host, values in loaded.hosts.items():
        for name in values:
            if name in OPTIONS:
                yield from variables.judged(loaded, host, (name,), OPTIONS[name])
            elif name.startswith(PREFIX) and (near := meant(name.removeprefix(PREFIX), known)):
                wrong = "is no option of Ansible, and nothing goes by it"
                yield Problem(loaded.place(host, name), name, wrong, f"did you mean {PREFIX}{near}?")


def meant(word: str, known: Collection[str]) -> str:
    """Return the known word that a misspelt one may be; empty where it is another's, as podman_extra_args."""
    near = get_close_matches(word, [each for each in known if abs(len(each) - len(word)) <= SLIPS], 1, NEAR)
    return near[0] if near else ""
