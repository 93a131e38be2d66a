"""Passwords (scrypt, parameters of OWASP's cheat sheet) and signed session cookies."""

import base64
import hashlib
import hmac
import os
import time

from notes import settings

COOKIE = "notes_session"
LIFETIME_S = 14 * 24 * 3600
N, R, P = 2**14, 8, 5


def hash_password(password: str) -> str:
    salt = os.urandom(16)
    return f"scrypt${N}${R}${P}${_text(salt)}${_text(_scrypt(password, salt, N, R, P))}"


def check_password(password: str, stored: str) -> bool:
    kind, n, r, p, salt, digest = stored.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    return kind == "scrypt" and hmac.compare_digest(found, base64.b64decode(digest))


def make_session(user_id: int, now: float | None = None) -> str:
    """Return the cookie's value: `<user>.<end>.<signature>`."""
    claim = f"{user_id}.{int((time.time() if now is None else now) + LIFETIME_S)}"
    return f"{claim}.{_sign(claim)}"


def read_session(cookie: str, now: float | None = None) -> int | None:
    """Return the user's id, or None for a cookie that is not ours or is over."""
    claim, _, signature = cookie.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _sign(claim).encode()):
        return None
    user, _, end = claim.partition(".")
    return int(user) if int(end) > (time.time() if now is None else now) else None


def _sign(claim: str) -> str:
    digest = hmac.digest(settings.session_key(), claim.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=64 * 1024 * 1024)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
