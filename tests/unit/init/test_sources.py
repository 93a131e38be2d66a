"""Which files of an application are looked at, and that none of them can stop a guess."""

from pathlib import Path

from ferryman.init import sources


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_what_says_how_an_application_runs_is_read_and_what_others_wrote_is_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        app_dot_py="1",
        src__shop__web_dot_py="2",
        requirements__base_dot_txt="3",
        Procfile="4",
        notes_dot_txt="5",
    )
    write(tmp_path, node_modules__x__a_dot_js="6", _dot_venv__b_dot_py="7", tests__c_dot_py="8", sub__Dockerfile="9")
    assert sources.read(tmp_path) == {
        "app.py": "1",
        "src/shop/web.py": "2",
        "requirements/base.txt": "3",
        "Procfile": "4",
    }


def test_what_is_no_text_or_too_large_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes(b"\xff\xfe")
    (tmp_path / "main.py").write_bytes(b"a\0b")
    (tmp_path / "data.py").write_text("x" * (sources.LARGEST + 1))
    (tmp_path / "uv.lock").write_text("x" * (sources.LARGEST + 1))
    (tmp_path / "gone.py").symlink_to("nowhere")
    assert list(sources.read(tmp_path)) == ["uv.lock"]


def test_a_large_repository_is_looked_at_from_the_top_and_not_to_its_end(tmp_path: Path) -> None:
    for number in range(sources.MOST + 50):
        write(tmp_path, **{f"pkg__m{number}_dot_py": ""})
    write(tmp_path, app_dot_py="top", a__b__c__d__e_dot_py="", a__b__c__d__f__g_dot_py="")
    found = sources.read(tmp_path)
    assert len(found) == sources.MOST
    assert found["app.py"] == "top"
    assert "a/b/c/d/f/g.py" not in found
