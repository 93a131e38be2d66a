"""Masks: the same for the same, never anybody's, of the same form; and nothing is left in any disguise."""

import random
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.data import find, mask
from hypothesis import given
from hypothesis import strategies as st
from tests.support import persons

KEY = b"a key for tests, of no other use"


def prepared(people: list[persons.Person]) -> mask.Masker:
    masker = mask.Masker(KEY)
    for who in people:
        for kind, value in who.values.items():
            masker.learn(kind, value)
    return masker


def people(seed: int, count: int) -> list[persons.Person]:
    rng = random.Random(seed)
    return [persons.person(rng, number) for number in range(count)]


@pytest.mark.parametrize("kind", persons.KINDS)
def test_a_mask_has_the_form_and_the_length_of_its_value(kind: str) -> None:
    crowd = people(7, 40)
    masker = prepared(crowd)
    for who in crowd:
        value = who.values[kind]
        made = masker.mask(kind, value)
        assert made != value
        assert find.canonical(kind, made) != find.canonical(kind, value)
        if kind != "ip" or ":" not in value:  # zeros of IPv6 are not written
            assert len(made) == len(value.replace("ß", "ss")), (value, made)
        if kind in ("card", "iban", "ip", "mac", "coordinates", "email"):
            assert [found.kind for found in find.shaped(made)] == [kind], (value, made)


@pytest.mark.parametrize("kind", mask.IDENTIFYING)
def test_different_values_get_different_masks_that_nobody_has(kind: str) -> None:
    crowd = people(11, 500)
    masker = prepared(crowd)
    values = {find.canonical(kind, who.values[kind]) for who in crowd}
    masks = {find.canonical(kind, masker.mask(kind, value)) for value in values}
    assert len(masks) == len(values)
    assert not masks & values


def test_a_value_has_one_mask_however_it_is_spelled() -> None:
    masker = mask.Masker(KEY)
    assert masker.mask("email", "Ada@Example.org") == masker.mask("email", "ada@example.org")
    assert find.canonical("phone", masker.mask("phone", "+49 (0)170/123 45 67")) == find.canonical(
        "phone", masker.mask("phone", "0049 170 1234567")
    )
    assert masker.mask("name", "Élodie Ångström").casefold() == masker.mask(
        "name", "ELODIE  ANGSTROM"
    ).casefold().replace("  ", " ")


def test_who_has_another_key_gets_other_masks() -> None:
    assert mask.Masker(KEY).mask("email", "ada@example.org") != mask.Masker(b"x" * 32).mask("email", "ada@example.org")


def test_mail_to_a_mask_arrives_nowhere_and_no_country_has_its_number() -> None:
    masker = mask.Masker(KEY)
    assert masker.mask("email", "ada.lovelace@example.org").endswith(".test")
    assert masker.mask("phone", "+49 170 1234567").startswith("+99 9")


@given(st.text(max_size=40), st.sampled_from(find.KINDS))
def test_any_text_can_be_masked_as_any_kind(value: str, kind: str) -> None:
    masker = mask.Masker(KEY)
    once = masker.mask(kind, value)
    assert masker.mask(kind, value) == once


@given(st.text(max_size=200))
def test_a_text_in_which_nothing_is_found_stays_as_it_is_and_any_is_scrubbed_alike_each_time(text: str) -> None:
    masker = mask.Masker(KEY)
    scrubbed = masker.scrub(text)
    if not find.shaped(text):
        assert scrubbed == text
    assert masker.scrub(text) == scrubbed


@given(st.text(max_size=100))
def test_a_text_that_is_blanked_says_nothing_and_has_its_shape(text: str) -> None:
    blank = mask.blanked(text)
    assert len(blank) == len(text)
    assert not find.shaped(blank)
    assert not {letter for letter in blank if letter.isalnum()} - {"x", "0"}


def test_what_is_no_personal_data_is_left_alone() -> None:
    masker = mask.Masker(KEY)
    for text in (
        "Order 20240101 of 3 items, version 1.2.3, at 12:30:45 on 2024-01-15, 10 % off 49.90",
        "SELECT a.b FROM c WHERE d = 12345678; -- 2^64",
        "The file /var/log/app-2024.01.02.log grew to 1234567 bytes",
    ):
        assert masker.scrub(text) == text


def test_an_address_with_the_length_of_its_network_is_no_card() -> None:
    alike = [
        f"{a}.{b}.115.1{c:02d}/32" for a in (201, 61) for b in range(100, 256) for c in range(100)
        if find.is_card(f"{a}{b}1151{c:02d}32")
    ]  # fmt: skip
    assert len(alike) > 1000
    for text in alike:
        (found,) = find.shaped(text)
        assert (found.kind, found.canonical) == ("ip", text.partition("/")[0])


def told_of(crowd: list[persons.Person], seed: int, count: int) -> list[tuple[str, dict[str, str]]]:
    rng = random.Random(seed)
    return [persons.text(rng, rng.choice(crowd)) for _ in range(count)]


@pytest.mark.soak
def test_soak_mask(soak: Any) -> None:
    """Nothing of twelve kinds is left in texts that hold it in disguise, and joins hold."""
    count = soak.times(sample=1500, full=100_000)
    crowd = people(soak.seed, max(count // 20, 50))
    masker = prepared(crowd)
    left, split, values = [], [], 0
    for text, told in told_of(crowd, soak.seed, count):
        scrubbed = masker.scrub(text)
        seen = persons.bare(scrubbed)
        for kind, value in told.items():
            values += 1
            if persons.bare(value) in seen:
                left.append((kind, text, scrubbed))
            if persons.bare(masker.mask(kind, find.canonical(kind, value))) not in seen:
                split.append((kind, text, scrubbed))
        left += [(each.kind, text, scrubbed) for each in masker.left(scrubbed)]
    soak.record(texts=count, people=len(crowd), values=values, left=len(left), joins_lost=len(split))
    assert not left, left[:5]
    assert not split, split[:5]
