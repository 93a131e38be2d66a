"""Break a right configuration in a way that is known: which file, which line.

A mutation changes the text of one file and says where a reader must be sent (`places`: any one of these lines), or that
nothing is wrong with what it did. Several of different files make a configuration with as many mistakes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from tests.support.configured import KEY

from ferryman import specs

PLANTED = "planted-swordfish"
"""A password that must not be shown, whatever is made of it."""
Files = Mapping[str, str]
VARIABLES = "group_vars/all/"
OPTION = re.compile(r"^(\w+): (\S.*)$")
SIZES = ("instances: 0", "instances: many", "memory_max: 12X", "memroy_max: 12M", "instances: 99")
# What YAML may be given where another type is wanted; a value that would fit after all is in no list.
WRONG = {
    "int": ["several", "[1]", "{a: 1}", "true", "1.5x", "''"],
    "float": ["soon", "[1.5]", "{a: 1}", "false", "''"],
    "bool": ["perhaps", "[true]", "{a: true}", "17"],
    "str": ["true", "no", "1.50", "[a]", "{a: b}"],
    "list": ["{a: b}", "true"],
    "dict": ["several", "[a]", "true", "7"],
}


@dataclass(frozen=True)
class Mutation:
    """A file's new text, and the lines of which one must be told; none for a change that leaves all right.

    `survives`: it is told beside a file that cannot be read, which may hold what another lacks.
    """

    kind: str
    file: str
    text: str
    places: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    survives: bool = True
    beside: frozenset[str] = frozenset()
    """Files that this mistake is a mistake beside: where one of them is another, it is not told."""
    also: frozenset[str] = frozenset()
    """Keys of what follows from it, and is told, too."""


def own(files: Files) -> list[str]:
    """Return the files in YAML of the environment that is broken: no key, no neighbour's, no application's."""
    return [name for name in files if name not in (KEY, "ferryman.yml") and not name.startswith("../")]


def line_of(text: str, start: str) -> int:
    """Return the number of the one line that begins so."""
    (number,) = (number for number, line in enumerate(text.splitlines(), 1) if line.startswith(start))
    return number


def options(files: Files, random: Random) -> tuple[str, int, str, str, specs.Option]:
    """Return a role's option that a file sets on one line: file, line, name, value, option."""
    known = {name: option for role in specs.roles().values() for name, option in role.options.items()}
    listed = [
        (file, number, found[1], found[2], known[found[1]])
        for file in own(files)
        for number, line in enumerate(files[file].splitlines(), 1)
        if (found := OPTION.match(line)) and found[1] in known
    ]
    return random.choice(listed)


def put(text: str, number: int, line: str) -> str:
    """Return a text with another line in a line's place."""
    lines = text.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


def misspelt(word: str, random: Random) -> str:
    """Return a word with one letter lost, doubled or moved, which is no other option's."""
    known = {name for role in specs.roles().values() for name in role.options}
    while True:
        at = random.randrange(1, len(word) - 1)
        way = random.choice("ldm")
        wrong = {
            "l": word[:at] + word[at + 1 :],
            "d": word[:at] + word[at] + word[at:],
            "m": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        }[way]
        if wrong != word and wrong not in known and not wrong.startswith(("ansible_", "vault_")):
            return wrong


# Mistakes in values of roles


def misspelt_key(files: Files, random: Random) -> Mutation:
    file, number, name, value, _ = options(files, random)
    text = put(files[file], number, f"{misspelt(name, random)}: {value}")
    # The right one is told as lacking, too, where it has to be there.
    return Mutation("misspelt key", file, text, frozenset({(file, number)}), also=frozenset({name}))


def wrong_type(files: Files, random: Random) -> Mutation:
    file, number, name, _, option = options(files, random)
    value = random.choice(WRONG[option.get("type", "str")])
    return Mutation("wrong type", file, put(files[file], number, f"{name}: {value}"), frozenset({(file, number)}))


def out_of_bounds(files: Files, random: Random) -> Mutation:
    """A value of the right type that is too small, too large or no number that could be counted to."""
    while True:
        file, number, name, _, option = options(files, random)
        bounds = option.get("bounds") or {}
        if "least" in bounds:
            break
    values = [str(bounds["least"] - 1), "-3", *([str(bounds["most"] + 1), "9999999"] if "most" in bounds else [])]
    values += [".nan", ".inf", "-0.5"] if option["type"] == "float" else []
    text = put(files[file], number, f"{name}: {random.choice(values)}")
    return Mutation("out of bounds", file, text, frozenset({(file, number)}))


def empty_value(files: Files, random: Random) -> Mutation:
    file, number, name, _, _ = options(files, random)
    value = random.choice(["", "null", "~"])
    text = put(files[file], number, f"{name}: {value}".rstrip())
    return Mutation("null", file, text, frozenset({(file, number)}))


def broken_template(files: Files, random: Random) -> Mutation:
    file, number, name, _, _ = options(files, random)
    value = random.choice(['"{{ nowhere }}"', '"{{ 1 / 0 }}"', '"{{ 7 | nofilter }}"', '"{{ unclosed"', '"{% if %}"'])
    text = put(files[file], number, f"{name}: {value}")
    return Mutation("broken template", file, text, frozenset({(file, number)}), survives="nowhere" not in value)


def bare_template(files: Files, random: Random) -> Mutation:
    file, number, name, _, _ = options(files, random)
    text = put(files[file], number, f"{name}: {{{{ vault_shop }}}}")
    return Mutation("template without quotes", file, text, frozenset({(file, number)}))


# Mistakes in YAML


def twice(files: Files, random: Random) -> Mutation:
    file, _, name, value, _ = options(files, random)
    text = files[file] + f"{name}: {value}\n"
    return Mutation("key given twice", file, text, frozenset({(file, len(text.splitlines()))}))


def no_yaml(files: Files, random: Random) -> Mutation:
    """What is left open is noticed at its line or at any later one."""
    file = random.choice(own(files))
    number = random.randrange(1, len(files[file].splitlines()) + 1)
    line = random.choice(
        ["broken: [a", "broken: {a: b", 'broken: "a', "broken: a: b", "broken: @a", "}", "broken: - a"]
    )
    lines = files[file].splitlines()
    text = "\n".join([*lines[: number - 1], line, *lines[number - 1 :]]) + "\n"
    later = range(number, len(lines) + 3)
    return Mutation("no YAML", file, text, frozenset((file, each) for each in later))


def tabs(files: Files, random: Random) -> Mutation:
    file = random.choice(["hosts.yml", f"{VARIABLES}apps.yml"])
    indented = [n for n, line in enumerate(files[file].splitlines(), 1) if line.startswith("    ") and n > 2]
    number = random.choice(indented)
    text = put(files[file], number, "\t" + files[file].splitlines()[number - 1].lstrip())
    return Mutation("tab", file, text, frozenset({(file, number), (file, number - 1)}))


def added(kind: str, lines: list[str]) -> Callable[[Files, Random], Mutation]:
    """Return a mutation that adds a line which no file of variables may have."""

    def mutation(files: Files, random: Random) -> Mutation:
        file = random.choice([name for name in own(files) if name != "hosts.yml"])
        text = files[file] + random.choice(lines) + "\n"
        return Mutation(kind, file, text, frozenset({(file, len(text.splitlines()))}))

    return mutation


ODD = ("8443", "yes", "no", "2026-01-01", "~", "1.5", "0x1F", "1:30")
ADDED = [
    added("name that is no text", [f"{name}: x" for name in ODD]),
    added("only Ansible does not take it", ["<<: 7", "vault_a: !vault [a]", "vault_a: !vault {a: b}", "a_b: !vault c"]),
]


def odd_name_of_hosts(files: Files, random: Random) -> Mutation:
    """A number, or a template without quotes, where a variable, a host or a group should have its name."""
    start, at = random.choice([("    ansible_user", 0), ("    entry:", 0), ("        web1: {", 0)])
    number = line_of(files["hosts.yml"], start) + at
    line = files["hosts.yml"].splitlines()[number - 1]
    name = random.choice([*ODD, "{{ hosts }}", "[a]"])
    text = put(files["hosts.yml"], number, line.replace(line.strip().partition(":")[0], name, 1))
    return Mutation("odd name of hosts", "hosts.yml", text, frozenset({("hosts.yml", number)}))


# Mistakes with the vault, and with another environment

VAULT = f"{VARIABLES}vault.yml"


def wrong_key(files: Files, random: Random) -> Mutation:
    text = random.choice([f"{PLANTED}\n", ""])
    told = (VAULT, line_of(files[VAULT], "vault_ada")) if text else (KEY, 0)
    return Mutation("wrong key", KEY, text, frozenset({told}), beside=frozenset({VAULT}))


def met(files: Files, random: Random) -> Mutation:
    """Another environment has the host, too, and does not say that it is shared."""
    file = "../staging/host_vars/edge1.yml"
    text = "ansible_host: 10.1.0.11\n" + random.choice(["", "host_shared: true\n", "ansible_port: 22\n", "8: 1\n"])
    number = line_of(files["hosts.yml"], "        web1: {")
    return Mutation(
        "another's host",
        file,
        text,
        frozenset({("hosts.yml", number)}),
        beside=frozenset({"hosts.yml", "../staging/hosts.yml"}),
    )


def broken_neighbour(files: Files, random: Random) -> Mutation:
    file = random.choice([name for name in files if name.startswith("../")])
    text = random.choice(
        ["a: [", "[a]", "&a {all: {children: {b: *a}}}", "all: {hosts: 7, vars: x, children: [a]}", ""]
    )
    return Mutation("broken neighbour", file, text + "\n")


# Mistakes in what belongs together


def wrong_group(files: Files, random: Random) -> Mutation:
    group = random.choice(["entry", "app"])
    file, number = "hosts.yml", line_of(files["hosts.yml"], f"    {group}:")
    wrong = misspelt(group, random) if group == "entry" else "apps"
    text = put(files[file], number, f"    {wrong}:")
    # Files of the group's variables are nobody's then.
    return Mutation("wrong group", file, text, frozenset({(file, number)}), also=frozenset({"the name"}))


def group_without_hosts(files: Files, random: Random) -> Mutation:
    group = random.choice(["app", "db"])
    number = line_of(files["hosts.yml"], f"    {group}:")
    text = put(files["hosts.yml"], number + 2, "")
    return Mutation("group without hosts", "hosts.yml", text, frozenset({("hosts.yml", number)}), survives=False)


def wrong_word_of_hosts(files: Files, random: Random) -> Mutation:
    number = line_of(files["hosts.yml"], "    entry:") + 1
    text = put(files["hosts.yml"], number, f"      {random.choice(['host', 'hots', 'host_s'])}:")
    places, also = frozenset({("hosts.yml", number)}), frozenset({"entry"})  # which has no host then
    return Mutation("wrong word of hosts", "hosts.yml", text, places, also=also)


def wrong_connection(files: Files, random: Random) -> Mutation:
    """Options of Ansible that are misspelt, or not of their type."""
    number = line_of(files["hosts.yml"], "        web1: {ansible_host")
    given = random.choice(
        ["ansible_hots: 10.1.0.11", f"ansible_port: {PLANTED}", "ansible_port: 0", "ansible_become: 17"]
    )
    text = put(files["hosts.yml"], number, f"        web1: {{{given}}}")
    return Mutation("wrong connection", "hosts.yml", text, frozenset({("hosts.yml", number)}))


def wrong_name(files: Files, random: Random) -> Mutation:
    file = f"{VARIABLES}environment.yml"
    number = line_of(files[file], "environment_name")
    text = put(files[file], number, f"environment_name: {random.choice(['staging', 'true', 'null', '[prod]', '7'])}")
    return Mutation("wrong name", file, text, frozenset({(file, number)}))


def no_name(files: Files, random: Random) -> Mutation:
    del random
    file = f"{VARIABLES}environment.yml"
    return Mutation("no name", file, "lock_host: web1\n", frozenset({(file, 0)}), survives=False)


def lost_arbiter(files: Files, random: Random) -> Mutation:
    file = f"{VARIABLES}environment.yml"
    number = line_of(files[file], "lock_host")
    text = put(files[file], number, f"lock_host: {random.choice(['web2', 'entry', '[web1]', 'true'])}")
    return Mutation("no such arbiter", file, text, frozenset({(file, number)}))


def not_agreed(files: Files, random: Random) -> Mutation:
    file = f"{VARIABLES}certificate.yml"
    number = line_of(files[file], "certificate_terms_agreed")
    gone = random.random() < 0.5
    text = put(files[file], number, "" if gone else "certificate_terms_agreed: false")
    return Mutation("nothing certifies", file, text, frozenset({(file, 0 if gone else number)}), survives=False)


# Mistakes in applications

OTHERS = ("hosts.yml", f"{VARIABLES}environment.yml", KEY)
"""Files without which no description is read: who the hosts are, which environment this is, and its secrets."""


def in_apps(
    kind: str,
    start: str,
    lines: list[str],
    *,
    at: int = 0,
    survives: bool = True,
    described: bool = False,
    also: str = "",
) -> Callable[[Files, Random], Mutation]:
    """Return a mutation that puts one of `lines` in a line's place, and is told `at` lines from there."""

    def mutation(files: Files, random: Random) -> Mutation:
        file = f"{VARIABLES}apps.yml"
        number = line_of(files[file], start)
        text = put(files[file], number, random.choice(lines))
        beside = frozenset({"ferryman.yml", *OTHERS}) if described else frozenset()
        follows = frozenset({also} if also else ())
        return Mutation(kind, file, text, frozenset({(file, number + at)}), survives, beside, follows)

    return mutation


DOMAINS = ("    domains: [shop", "    domains: [api")
SECRET, WEB, DATABASE = "      DATABASE_URL", "      web:", "    database:"
APPS: list[Callable[[Files, Random], Mutation]] = [
    in_apps("duplicate domain", DOMAINS[1], ["    domains: [shop.test]", "    domains: [api.test, www.shop.test]"]),
    in_apps("duplicate domain", DOMAINS[0], ["    domains: [shop.test, shop.test]"]),
    in_apps(
        "no domain", DOMAINS[1], [f"    domains: [{one}]" for one in ("API.test", "https://a.test", "'*.a'", "a_b")]
    ),
    in_apps(
        "domains of a wrong type", DOMAINS[1], [f"    domains: {one}" for one in ("{a: b}", "null", "[true]", "[1.5]")]
    ),
    in_apps("removed key", DOMAINS[1], [""], at=-2),
    in_apps("misspelt key", DOMAINS[1], ["    domians: [api.test]"], also="apps.api"),
    in_apps("misspelt key", "    max_body", ["    max_bodi: 5m", "    maxbody: 5m"]),
    in_apps("out of bounds", "    max_body", [f"    max_body: {one}" for one in ("5zz", "-5m", "5 m", "m", "''")]),
    in_apps(
        "out of bounds",
        DATABASE,
        [f"{DATABASE} {{name: {one}, owner: shop}}" for one in ('"sh op;--"', "7shop", "a.b", "ö", "''")],
    ),
    in_apps("no map", "    env:", ["    env: several", "    env: [a]", "    env: 7"]),
    in_apps("name that is no text", "    env:", [f"    env: {{{name}: a}}" for name in ODD], described=True),
    in_apps("name that is no text", "    database:", [f"    database: {{{name}: a}}" for name in ODD]),
    in_apps(
        "text of a wrong type",
        "    env:",
        ["    env: {A: [a]}", "    env: {A: null}", "    env: {A: {b: c}}"],
        described=True,
    ),
    in_apps("lost repository", "    repository: api", ["    repository: apy", "    repository: ../api"]),
    in_apps(
        "secret of a wrong type",
        SECRET,
        [f"{SECRET}: {one}" for one in (f"[{PLANTED}]", f"{{a: {PLANTED}}}", "null", "''")],
    ),
    in_apps("secret that nothing defines", SECRET, [SECRET + ': "{{ vault_gone }}"'], survives=False),
    in_apps("unknown process", WEB, ["      wbe: {instances: 2}", "      worker: {instances: 2}"], described=True),
    in_apps("wrong size", WEB, [f"{WEB} {{{one}}}" for one in SIZES], described=True),
    in_apps("misspelt secret", SECRET, ['      DATABASE_URI: "{{ vault_shop }}"'], described=True, also="secret_env.0"),
    in_apps(
        "no database",
        DATABASE,
        [f"{DATABASE} {one}" for one in ("{name: shop}", "{nmae: a, owner: b}", "shop", "[shop]")],
    ),
]


# Mistakes in ferryman.yml


def in_description(start: str, lines: list[str], *, kind: str = "description") -> Callable[[Files, Random], Mutation]:
    """Return a mutation of the application's own description."""

    def mutation(files: Files, random: Random) -> Mutation:
        number = line_of(files["ferryman.yml"], start)
        text = put(files["ferryman.yml"], number, random.choice(lines))
        beside = frozenset({f"{VARIABLES}apps.yml", *OTHERS})
        later = range(number, number + (3 if kind == "broken description" else 1))  # an open bracket is noticed later
        return Mutation(kind, "ferryman.yml", text, frozenset(("ferryman.yml", each) for each in later), beside=beside)

    return mutation


DESCRIPTION = [
    in_description("name:", [f"name: {one}" for one in ("shpo", "Shop", "[shop]", "true", "''")]),
    in_description("name:", ["nmae: shop\nname: shop"]),
    in_description("    kind:", ["    kind: wep", "    kind: 7", "    kidn: web\n    kind: web"]),
    in_description(
        "    instances:", ["    instances: 0", "    instances: many", "    instances: [1]", "    instanecs: 1"]
    ),
    in_description("shared:", ["shared: [../media]", "shared: [media, media]", "shared: {a: b}", "shared: [true]"]),
    in_description(
        "secret_env:", ["secret_env: [HOST]", "secret_env: ['a b']", "secret_env: [MISSING_ONE, DATABASE_URL]"]
    ),
    in_description("env:", ["env: {A-B: c}", "env: {PORT: c}", "env: {A: true}", "env: 7"]),
    in_description("name:", [f"name: {PLANTED}", f"name: [{PLANTED}]"], kind="planted secret"),
    in_description("    instances:", [f"    instances: {PLANTED}"], kind="planted secret"),
    in_description("shared:", ["shared: [a", "\tshared: [a]", "shared: *nobody"], kind="broken description"),
]


# Secrets in wrong places


def planted(files: Files, random: Random) -> Mutation:
    """Put the planted secret where a number, a choice or a map is wanted."""
    while True:
        file, number, name, _, option = options(files, random)
        if option.get("type") in ("int", "float", "bool", "dict"):
            break
    value = random.choice([PLANTED, f'"{PLANTED}"', '"{{ vault_planted }}"', f"[{PLANTED}]"])
    text = put(files[file], number, f"{name}: {value}")
    return Mutation("planted secret", file, text, frozenset({(file, number)}), survives="vault" not in value)


def planted_in_yaml(files: Files, random: Random) -> Mutation:
    file = f"{VARIABLES}hidden.yml"
    sign = random.choice(["*", "!", "%", "@", "`", "{", "["])
    text = files[file] + f"vault_other: {sign}{PLANTED}\n"
    number = len(text.splitlines())
    return Mutation(
        "planted secret that YAML takes for a sign", file, text, frozenset({(file, number), (file, number + 1)})
    )


def planted_in_address(files: Files, random: Random) -> Mutation:
    file = f"{VARIABLES}hidden.yml"
    host = random.choice(["db1.example", "10.1.0.9/db.example", "192.0.2.9"])
    text = files[file] + f'vault_url: "postgresql://shop:{PLANTED}@{host}/shop"\n'
    return Mutation("planted secret in an address", file, text, frozenset({(file, len(text.splitlines()))}))


# What leaves all right


def harmless(files: Files, random: Random) -> Mutation:
    file = random.choice(own(files))
    text = random.choice(
        [
            "# a comment\n" + files[file],
            "---\n" + files[file],
            "\n\n" + files[file],
            files[file].replace("\n", "   \n", 1),
            files[file] + "# {{ nothing }} *of* !this is: read [\n",
        ]
    )
    return Mutation("harmless", file, text)


def other_value(files: Files, random: Random) -> Mutation:
    while True:
        file, number, name, value, option = options(files, random)
        if option.get("type") in ("int", "float"):
            break
    text = put(
        files[file],
        number,
        f"{name}: {random.choice([value, f'{value}  # as before', '{0}{{{{ {1} }}}}{0}'.format(chr(34), value)])}",
    )
    return Mutation("another right value", file, text)


KINDS: list[Callable[[Files, Random], Mutation]] = [
    misspelt_key,
    wrong_type,
    out_of_bounds,
    empty_value,
    broken_template,
    bare_template,
    twice,
    no_yaml,
    tabs,
    wrong_group,
    group_without_hosts,
    wrong_word_of_hosts,
    wrong_connection,
    wrong_name,
    no_name,
    lost_arbiter,
    not_agreed,
    planted,
    planted_in_yaml,
    planted_in_address,
    odd_name_of_hosts,
    wrong_key,
    met,
    broken_neighbour,
    *ADDED,
    harmless,
    other_value,
    *APPS,
    *DESCRIPTION,
]


def mutate(files: Files, random: Random) -> list[Mutation]:
    """Return one to three mutations of different files.

    Where a group has lost its hosts, what its roles are given is nobody's any more: such a mutation stands alone.
    """
    chosen: dict[str, Mutation] = {}
    for _ in range(random.choice([1, 1, 2, 3])):
        mutation = random.choice(KINDS)(files, random)
        if mutation.kind in ("wrong group", "group without hosts", "wrong word of hosts"):
            return [mutation]
        chosen.setdefault(mutation.file, mutation)
    return list(chosen.values())
