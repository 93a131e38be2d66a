"""Whether a requirements file is a lock, line by line."""

from pathlib import Path

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release.runtimes.requirements import loose

SUM = "--hash=sha256:0a1b"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        f"flask==3.1.0 {SUM}\n",
        f"flask == 3.1.0 {SUM}",
        f"flask==3.1.0 \\\n    {SUM} \\\n    --hash=sha256:ff\n    # via -r requirements.in\n",
        f"psycopg[binary,pool]==3.2.1 ; python_full_version < '3.13' and sys_platform == 'linux' \\\n  {SUM}\n",
        f"--index-url https://packages.example.org/simple\nflask==3.1.0 {SUM}  # pinned\n",
        f"shop @ https://example.org/shop-1.0-py3-none-any.whl {SUM}\n",
        f"shop @ https://example.org/shop-1.0-py3-none-any.whl#sha256={'0a' * 32}\n",
        f"shop===1.0+local {SUM}",
        f"https://example.org/shop-1.0-py3-none-any.whl {SUM}\n",
        f"\ufeffflask==3.1.0 {SUM}\n",
    ],
)
def test_an_exact_version_and_sums_for_each_package_are_a_lock(text: str) -> None:
    assert list(loose(text)) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("flask", "flask has no exact version"),
        ("flask>=3", "flask has no exact version"),
        (f"flask>=3 {SUM}", "flask has no exact version"),
        (f"flask==3.* {SUM}", "flask has no exact version"),
        (f"flask==3.0,!=3.1 {SUM}", "flask has no exact version"),
        (f"flask>=3 ; python_version == '3.11' {SUM}", "flask has no exact version"),
        ("flask==3.1.0", "flask has no sum (--hash)"),
        ("flask==3.1.0 # --hash=sha256:0a", "flask has no sum (--hash)"),
        ("shop @ git+https://example.org/shop@main", "shop has no sum (--hash)"),
        ("-r base.txt", "-r leads elsewhere"),
        ("-e .", "-e leads elsewhere"),
        ("-rbase.txt", "-rbase.txt leads elsewhere"),
        ("https://example.org/shop-1.0-py3-none-any.whl", "https://example.org/shop-1.0-py3-none-any.whl has no sum"),
        ("./shop", "'./shop' is no package"),
        ("flask==3.1.0 \\", "flask has no sum (--hash)"),
    ],
)
def test_what_leaves_open_what_is_installed_is_told_with_its_line(line: str, why: str) -> None:
    text = f"# Locked.\ngood==1.0 \\\n    {SUM}\n{line}\n"
    (found,) = loose(text)
    assert found[0] == 4
    assert found[1].startswith(why)


def test_a_comment_that_ends_in_a_backslash_hides_no_line() -> None:
    assert [number for number, _ in loose("# as told \\\nflask>=3\n")] == [2]


@pytest.mark.parametrize("name", ["examples/notes/requirements.txt", "requirements/dev.txt"])
def test_the_locks_of_this_project_are_locks(name: str) -> None:
    assert list(loose((Path(__file__).parents[4] / name).read_text())) == []
