"""SCRAM-SHA-256 as PostgreSQL keeps it: who computes the verifier here never shows the password to a server's log.

RFC 5802 (SCRAM), RFC 7677 (with SHA-256), RFC 4013 (SASLprep); the form of a verifier is that of PostgreSQL's
`src/common/scram-common.c`: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`, all parts in base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata
from typing import Optional

ITERATIONS = 4096  # PostgreSQL's own; each login pays for them
FORM = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
FORBIDDEN = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def verifier(password: str, salt: Optional[bytes] = None, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL stores for a password."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", "sha256").digest()).digest()
    server = hmac.new(salted, b"Server Key", "sha256").digest()
    return f"SCRAM-SHA-256${iterations}:{_text(salt)}${_text(stored)}:{_text(server)}"


def matches(password: str, stored: Optional[str]) -> bool:
    """Return whether a stored verifier is that of the password; one of another kind (md5, none) never is."""
    form = FORM.fullmatch(stored or "")
    if not form:
        return False
    again = verifier(password, base64.b64decode(form.group(2)), int(form.group(1)))
    return hmac.compare_digest(again, form.group(0))


def prepared(password: str) -> bytes:
    """Return the bytes that are hashed: SASLprep, or the password as it is where that does not apply, as libpq does."""
    if password.isascii():
        return password.encode()
    mapped = [" " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)]
    text = unicodedata.normalize("NFKC", "".join(mapped))
    right = [stringprep.in_table_d1(c) for c in text]
    bad = not text or any(table(c) for c in text for table in FORBIDDEN)
    if any(right) and (any(map(stringprep.in_table_d2, text)) or not (right[0] and right[-1])):
        bad = True
    return (password if bad else text).encode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
