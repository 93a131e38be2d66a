"""What a machine hands to its hosts: its own sources of packages, and nothing that leads nowhere from inside."""

from pathlib import Path

from ferryman.sandbox import image, machine

TARGETS = """\
Packages Debian bookworm bookworm main http://mirror.example/debian/
Packages Debian bookworm bookworm main http://mirror.example/debian/
Translations Debian bookworm bookworm main http://mirror.example/debian/
Packages Debian bookworm-security bookworm-security main http://mirror.example/security/
Packages Debian trixie trixie main http://mirror.example/debian/
Packages Vendor stable stable main https://vendor.example/apt/
Packages  bookworm main http://nameless.example/
"""


def test_only_the_hosts_debian_is_taken_from_the_machines_sources() -> None:
    sources = machine.debian_sources(TARGETS, "bookworm")
    assert machine.one_line_sources(sources) == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]
    assert "vendor" not in sources


def test_a_machine_without_that_debian_hands_over_no_sources() -> None:
    assert machine.debian_sources("Packages Ubuntu noble noble main http://mirror.example/ubuntu/\n", "trixie") == ""
    updates = "Packages Debian bookworm-updates bookworm-updates main http://m.example/\n"
    assert machine.debian_sources(updates, "bookworm") == ""


def test_a_machine_of_another_debian_names_the_archives_of_this_one() -> None:
    older = "".join(line for line in TARGETS.splitlines(keepends=True) if "trixie" not in line)
    assert machine.one_line_sources(machine.debian_sources(older, "trixie")) == [
        "deb http://mirror.example/debian/ trixie main",
        "deb http://mirror.example/security/ trixie-security main",
    ]
    assert machine.one_line_sources(machine.debian_sources(TARGETS, "trixie")) == [
        "deb http://mirror.example/debian/ trixie main",
    ]


def test_proxies_reach_hosts_unless_they_are_this_machines_own_loopback() -> None:
    dump = 'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::https::Proxy "http://127.0.0.1:3142";\n'
    settings = machine.apt_settings(dump, https=False)
    assert "proxy.example" in settings
    assert "127.0.0.1" not in settings
    assert "CAInfo" not in settings
    assert machine.CA_BUNDLE in machine.apt_settings("", https=True)


def test_pip_settings_win_in_pips_order(tmp_path: Path) -> None:
    weak, strong = tmp_path / "weak", tmp_path / "strong"
    weak.write_text("[global]\nindex-url = https://weak.example/simple\ncert = /etc/weak.pem\ntimeout = 60\n")
    strong.write_text("[global]\nindex-url = https://strong.example/simple\n")
    found = machine.pip_settings([weak, strong, tmp_path / "none"], {"PIP_CERT": "/etc/env.pem"})
    assert found == {"index-url": "https://strong.example/simple", "cert": "/etc/env.pem"}


def test_indexes_that_lie_on_the_machine_itself_are_left_out() -> None:
    found = machine.pip_settings([], {"PIP_EXTRA_INDEX_URL": "file:///srv/simple https://more.example/simple"})
    assert found == {"extra-index-url": "https://more.example/simple"}
    assert machine.pip_settings([], {"PIP_INDEX_URL": "http://localhost:3141/simple"}) == {}


def test_a_hosts_pip_finds_the_certificates_where_the_host_has_them() -> None:
    assert machine.pip_conf({"cert": "/home/me/ca.pem"}) == "[global]\ncert = /etc/ssl/sandbox-ca.pem\n"
    assert machine.pip_conf({}) == ""


def test_broken_pip_settings_are_pips_matter(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("no section\n")
    assert machine.pip_settings([broken], {}) == {}


def test_a_changed_recipe_is_another_image() -> None:
    one, other = image.tags({machine.SOURCES: b"1"}, 12), image.tags({machine.SOURCES: b"2"}, 12)
    assert one == image.tags({machine.SOURCES: b"1"}, 12)
    assert all(one[kind] != other[kind] for kind in one)


def test_a_new_certificate_needs_no_new_bootstrap() -> None:
    one, other = image.tags({machine.CA_BUNDLE: b"1"}, 12), image.tags({machine.CA_BUNDLE: b"2"}, 12)
    assert one["raw"] == other["raw"]
    assert one["base"] != other["base"]


def test_files_that_change_places_are_another_recipe() -> None:
    assert image.digest({"a": b"1", "b": b"2"}) != image.digest({"a": b"2", "b": b"1"})
    assert image.digest({"a": b"1b"}) != image.digest({"a": b"1", "b": b""})


def test_mmdebstrap_takes_its_own_mirror_where_the_machine_has_none() -> None:
    assert image.bootstrap_argv("", Path("/x.tar"), [], "trixie")[-2:] == ["trixie", "/x.tar"]


def test_each_debian_has_images_of_its_own() -> None:
    one, other = image.tags({}, 12), image.tags({}, 13)
    assert all(one[kind] != other[kind] for kind in one)
