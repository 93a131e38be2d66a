"""Processes that a Procfile or a Dockerfile names."""

from typing import Any

from ferryman.init import commands
from ferryman.init.model import Files, Guess


def started(files: Files, found: Guess) -> dict[str, Any]:
    """Return what a Procfile or a Dockerfile starts."""
    processes: dict[str, Any] = {}
    for name, line in commands.procfile(files.get("Procfile", "")).items():
        if name == "release":
            found.description["migrations"] = {"command": commands.adapted(line)}
            found.say("migrations", "The Procfile's `release`: it must leave the version before it working.")
        elif short := commands.process_name(name, list(processes)):
            kind = "web" if short == "web" else "worker"
            processes[short] = {"kind": kind, "command": commands.adapted(line, web=kind == "web")}
    if processes:
        found.say("processes", "As the Procfile says.")
    line, ports = commands.dockerfile(files.get("Dockerfile") or files.get("Containerfile") or "")
    if line and "web" not in processes and not line.startswith("/"):
        processes["web"] = {"kind": "web", "command": commands.adapted(line, ports=ports, web=True)}
        found.say("processes", "As the Dockerfile's CMD says; paths in it are from the application's directory.")
    if "web" in processes and "{port}" not in processes["web"]["command"]:
        found.say("processes", "web must listen on {host} and {port} (in its environment: HOST and PORT).")
    return processes
