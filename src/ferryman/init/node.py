"""How an application with a package.json runs: a program for Node, or a front end that is built and served as files."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ferryman.init import code, commands, dependencies, wants
from ferryman.init.dependencies import Missing
from ferryman.init.model import Files, Guess, begin
from ferryman.init.starts import started

# Programs that build a front end, and where each leaves it.
BUILDERS = {
    "vite": "dist", "react-scripts": "build", "@vue/cli-service": "dist", "astro": "dist", "@11ty/eleventy": "_site",
    "parcel": "dist", "gatsby": "public", "webpack": "dist", "esbuild": "dist", "vitepress": ".vitepress/dist",
}  # fmt: skip
# What a script `start` runs where it only shows a front end to its author.
SHOWING = ("vite", "react-scripts", "vue-cli-service", "astro", "eleventy", "parcel", "gatsby", "webpack", "serve")
# Neither npm nor what watches files for their author belongs on a host.
NOT_ON_HOSTS = ("npm", "npx", "yarn", "pnpm", "nodemon", "ts-node", "tsx", "cross-env")
LISTENS = {"next": "-H {host} -p {port}"}
DRIVERS = ("pg", "postgres", "pg-promise")
LOCKS = ("package-lock.json", "npm-shrinkwrap.json")


def describe(files: Files, package: Mapping[str, Any], directory: str) -> Guess | None:
    """Return how the application in these files runs; None where package.json says nothing of that."""
    named = package.get("name")
    name = named if isinstance(named, str) else directory
    scripts = {key: text for key, text in dependencies.table(package, "scripts").items() if isinstance(text, str)}
    needs = {**dependencies.table(package, "dependencies"), **dependencies.table(package, "devDependencies")}
    start = scripts.get("start", "")
    if "Procfile" not in files and (not start or start.startswith(SHOWING)):
        if "build" not in scripts:
            return None  # tools of its author's
        found = _front_end(name, needs)
    else:
        found = _program(files, name, start, scripts)
        keys, others = code.reads_in_javascript(files)
        scheme = "postgresql" if any(driver in needs for driver in DRIVERS) else ""
        wants.give(found, scheme=scheme, keys=keys, others=others)
    if not any(lock in files for lock in LOCKS):
        why = "no package-lock.json says which versions to take"
        found.missing.append(Missing("npm install --package-lock-only", why, (LOCKS[0],)))
    return found


def _front_end(name: str, needs: Mapping[str, Any]) -> Guess:
    builder = next((each for each in BUILDERS if each in needs), "")
    found = begin(name, "static", ())
    found.description["build"] = {"commands": ["npm ci", "npm run build"], "root": BUILDERS.get(builder, "dist")}
    leaves = f", and {builder} leaves its result" if builder else ""
    found.say("build", f"package.json has a script `build`{leaves}: check `root`.")
    return found


def _program(files: Files, name: str, start: str, scripts: Mapping[str, str]) -> Guess:
    found = begin(name, "node")
    build = found.description["build"]
    if "build" in scripts:
        found.description["build"] = {"commands": ["npm ci", "npm run build"], **build}
        found.say("build", "package.json has a script `build`: it runs on your machine, in an export of the commit.")
    processes = started(files, found)
    if "web" not in processes:
        processes = {"web": {"kind": "web", "command": _command(start, found)}, **processes}
    path = code.health_in_javascript(files)
    if path:
        processes["web"]["health"] = {"path": path}
    else:
        found.say("processes", "No page of health was found, so web is only asked whether it listens.")
    found.say("processes", "It must listen where it is told: server.listen(process.env.PORT, process.env.HOST).")
    found.description["processes"] = processes
    return found


def _command(start: str, found: Guess) -> str:
    """Return what the script `start` runs in the end, without npm and what is set by Ferryman already."""
    last = re.split(r"&&|;", start)[-1].strip().removeprefix("NODE_ENV=production ").strip()
    if not commands.is_words(last) or shlex.split(last)[0] in NOT_ON_HOSTS:
        why = "no program that serves was found: processes.web.command names it, like `node server.js`"
        found.missing.append(Missing("edit ferryman.yml", why))
        return "node server.js"
    adapted = commands.adapted(last, web=True)
    listens = LISTENS.get(shlex.split(adapted)[0], "")
    return f"{adapted} {listens}" if listens and "{port}" not in adapted else adapted
