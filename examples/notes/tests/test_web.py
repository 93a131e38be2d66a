"""What the web process promises to people and to whoever operates it."""

import hashlib
import os
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from conftest import STOPPED, Client, Server, start


def test_a_user_registers_leaves_and_comes_back(server: Server) -> None:
    first, login = server.client(), {"name": "ada", "password": "correct horse"}
    assert first("POST", "/api/register", login).json == {"name": "ada"}
    assert first("POST", "/api/register", login).status == 409
    assert first("GET", "/api/me").json == {"name": "ada"}
    first("POST", "/api/logout")
    assert first("GET", "/api/me").status == 401
    second = server.client()
    assert second("POST", "/api/login", {**login, "password": "wrong horse"}).status == 401
    assert second("POST", "/api/login", {**login, "name": "nobody"}).status == 401
    answer = second("POST", "/api/login", login)
    assert answer.status == 200
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.head["Set-Cookie"].split("; "))
    assert second("GET", "/api/me").status == 200


def test_behind_https_the_cookie_is_secure(client: Client) -> None:
    login = {"name": "eve", "password": "correct horse"}
    answer = client("POST", "/api/register", login, X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.1")
    assert "Secure" in answer.head["Set-Cookie"]


def test_a_changed_cookie_is_nobodys(user: Client) -> None:
    name, _, rest = user.cookie.partition("=")
    user.cookie = f"{name}=9{rest}"
    assert user("GET", "/api/me").status == 401
    user.cookie = f"{name}=nonsense"
    assert user("GET", "/api/me").status == 401


def test_notes_are_written_read_changed_and_removed(user: Client) -> None:
    note = user("POST", "/api/notes", {"title": "Tea", "body": "Green"}).json
    assert user("GET", f"/api/notes/{note['id']}").json["body"] == "Green"
    assert user("PUT", f"/api/notes/{note['id']}", {"title": "Tea", "body": "Black"}).json["body"] == "Black"
    assert [found["body"] for found in user("GET", "/api/notes").json] == ["Black"]
    assert user("DELETE", f"/api/notes/{note['id']}").status == 204
    assert user("GET", "/api/notes").json == []
    assert user("POST", "/api/notes", {"title": ""}).status == 422


def test_nobody_reads_what_others_wrote(server: Server, user: Client) -> None:
    note = user("POST", "/api/notes", {"title": "Secret"}).json
    media = user("POST", "/api/media?name=a.txt", b"secret").json
    other = server.client()
    assert other("GET", "/api/notes").status == 401
    other("POST", "/api/register", {"name": f"other-{os.urandom(4).hex()}", "password": "correct horse"})
    for path in (f"/api/notes/{note['id']}", f"/api/media/{media['id']}"):
        assert other("GET", path).status == 404
        assert other("DELETE", path).status == 404


def test_an_upload_comes_back_byte_for_byte(user: Client, environment: dict[str, str]) -> None:
    data, name = os.urandom(1_500_000), 'über "alles".bin'
    media = user("POST", f"/api/media?name={quote(name)}", data).json
    assert media["sha256"] == hashlib.sha256(data).hexdigest()
    answer = user("GET", f"/api/media/{media['id']}")
    assert answer.body == data
    assert answer.head["Content-Disposition"].startswith("attachment; filename*=UTF-8''%C3%BCber")
    assert user("DELETE", f"/api/media/{media['id']}").status == 204
    assert user("GET", f"/api/media/{media['id']}").status == 404
    assert files(environment).get(hashlib.sha256(data).hexdigest()) is None


def test_an_upload_too_large_or_cut_off_leaves_no_file(user: Client, environment: dict[str, str]) -> None:
    before = files(environment)
    assert user("POST", "/api/media?name=large", b"x" * 2_000_001).status == 413
    address = urlsplit(user.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(upload_head(user, 1_000_000) + b"x" * 500_000)
        time.sleep(0.3)
    time.sleep(0.5)
    assert files(environment) == before


def upload_head(client: Client, size: int) -> bytes:
    head = ["POST /api/media?name=x HTTP/1.1", "Host: x", f"Cookie: {client.cookie}", f"Content-Length: {size}"]
    return "\r\n".join([*head, "", ""]).encode()


def files(environment: dict[str, str]) -> dict[str, str]:
    folder = Path(environment["FERRYMAN_SHARED"]) / "media"
    folder.mkdir(exist_ok=True)
    return {hashlib.sha256(file.read_bytes()).hexdigest(): file.name for file in folder.iterdir()}


def test_pages_and_version_and_health_answer(client: Client) -> None:
    page = client("GET", "/")
    assert b'id="motto"' in page.body
    for part in ("app.js", "style.css", "icon.svg"):
        assert f"/static/{part}".encode() in page.body
        assert client("GET", f"/static/{part}").status == 200
    assert client("GET", "/health").json == {"status": "ok"}
    assert client("GET", "/health/ready").json == {"status": "ready"}
    expected = {"release": "20260101T000000Z-1a2b3c4", "commit": "1a2b3c4", "title": "Notes"}
    assert client("GET", "/version").json == expected
    assert "Server" not in client("GET", "/version").head


def test_a_request_keeps_its_id_into_the_log(server: Server, client: Client) -> None:
    answer = client("GET", "/api/me?token=x", X_Request_Id="abc-1234")
    assert answer.head["X-Request-Id"] == "abc-1234"
    assert answer.head["X-Release"] == "20260101T000000Z-1a2b3c4"
    line = server.line_of("abc-1234")
    assert {"time", "level", "release", "duration_ms"} <= set(line)
    assert (line["path"], line["status"]) == ("/api/me", 401)
    assert "token=x" not in server.log.read_text()


def test_a_strange_request_id_is_replaced(client: Client) -> None:
    assert client("GET", "/health", X_Request_Id='"}{').head["X-Request-Id"] != '"}{'


def test_every_line_of_the_log_is_json_and_none_holds_a_password(server: Server, user: Client) -> None:
    user("GET", "/api/me")
    assert any(line["message"].startswith("Uvicorn running") for line in server.lines())
    assert "correct horse" not in server.log.read_text()


def test_without_its_database_it_is_alive_but_not_ready(schema: dict[str, str], tmp_path: Path) -> None:
    environment = {**schema, "DATABASE_URL": "postgresql+psycopg://notes@127.0.0.1:1/postgres"}
    lost = start(environment, tmp_path / "log", "/health")
    try:
        assert lost.client()("GET", "/health").status == 200
        answer = lost.client()("GET", "/health/ready")
        assert answer.status == 503
        assert "does not answer" in answer.json["reason"]
    finally:
        lost.process.terminate()
        lost.process.wait(10)


def test_a_stop_finishes_the_upload_that_is_under_way(schema: dict[str, str], tmp_path: Path) -> None:
    stopping = start(schema, tmp_path / "log")
    known = stopping.client()
    known("POST", "/api/register", {"name": f"user-{os.urandom(6).hex()}", "password": "correct horse"})
    address = urlsplit(stopping.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(upload_head(known, 200_000) + b"x" * 100_000)
        time.sleep(0.3)
        stopping.process.terminate()
        time.sleep(0.3)
        connection.sendall(b"x" * 100_000)
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 201")
    assert stopping.process.wait(10) in STOPPED


def test_it_refuses_to_start_without_its_key(schema: dict[str, str], tmp_path: Path) -> None:
    environment: dict[str, Any] = {**schema, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    with pytest.raises(AssertionError, match="SESSION_KEY needs at least 16 characters"):
        start(environment, tmp_path / "log")
