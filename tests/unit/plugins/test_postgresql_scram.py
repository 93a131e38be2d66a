"""SCRAM verifiers: those of PostgreSQL itself."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils import postgresql_scram as scram
from hypothesis import given
from hypothesis import strategies as st


def test_the_example_of_rfc_7677_is_reproduced() -> None:
    """Section 3 gives salt, count and the server's signature over a whole exchange for the password `pencil`."""
    import base64
    import hashlib
    import hmac

    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    found = scram.FORM.fullmatch(scram.verifier("pencil", salt, 4096))
    assert found
    exchange = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    signature = hmac.new(base64.b64decode(found[4]), exchange.encode(), hashlib.sha256).digest()
    assert base64.b64encode(signature).decode() == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@given(st.text(min_size=1), st.text(min_size=1))
def test_only_the_same_password_matches(password: str, other: str) -> None:
    stored = scram.verifier(password, iterations=2)
    assert scram.matches(password, stored)
    assert scram.matches(other, stored) == (scram.prepared(other) == scram.prepared(password))


@pytest.mark.parametrize("stored", [None, "", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$broken"])
def test_what_is_no_verifier_never_matches(stored: str | None) -> None:
    assert not scram.matches("x", stored)


def test_two_verifiers_of_one_password_differ_by_their_salt() -> None:
    assert scram.verifier("x") != scram.verifier("x")


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("I\u00adX", "IX"),  # examples of RFC 4013, section 3
        ("user", "user"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("\u0007\u00fc", "\u0007\u00fc"),  # prohibited: taken as it is, as libpq does
        ("\u0627\u0031", "\u0627\u0031"),  # right to left, not closed: the same
    ],
)
def test_passwords_are_prepared_as_rfc_4013_says(password: str, expected: str) -> None:
    assert scram.prepared(password).decode() == expected
