"""Lines of every kind come to one form, nothing of them is lost, and no secret is in them."""

import json
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries, files
from ansible_collections.ferryman.ops.plugins.module_utils.logs.entries import LEVELS, Wanted
from hypothesis import given
from hypothesis import strategies as st

KNOWN = {"app": "shop", "process": "web", "slot": "blue", "release": "20261122T103000Z-1a2b3c4"}
ACCESS = {
    "time": "2026-11-22T10:30:00+00:00", "epoch": 1795343400.123, "level": "error", "service": "entry", "site": "shop",
    "request_id": "abcdefgh", "method": "GET", "path": "/a", "status": 502, "request_s": 0.25, "arm": "green",
    "release": "", "remote_addr": "192.0.2.7",
}  # fmt: skip
TEXT = st.text(max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def app_line(text: str, **more: Any) -> dict[str, Any]:
    return entries.of_application(text, 1_795_343_400_123_456, "info", **{**KNOWN, **more})


def test_an_object_keeps_its_fields_and_gives_level_message_and_request() -> None:
    line = app_line('{"level": "WARN", "msg": "slow", "request_id": "r-1", "time": "", "took_s": 3, "by": {"a": [1]}}')
    assert (line["level"], line["message"], line["request_id"]) == ("warning", "slow", "r-1")
    assert line["fields"] == {"took_s": 3, "by": {"a": [1]}}
    assert line["time"] == "2026-11-22T10:30:00.123456Z"


@pytest.mark.parametrize("text", ["plain words", "{not json", "[1, 2]", '"text"', "{}x"])
def test_any_other_line_is_a_message(text: str) -> None:
    assert app_line(text)["message"] == text


@pytest.mark.parametrize("key", sorted(KNOWN))
def test_an_application_cannot_say_that_a_line_is_anothers(key: str) -> None:
    assert app_line(json.dumps({"message": "m", key: "another"}))[key] == KNOWN[key]


@given(st.dictionaries(TEXT, JSON, max_size=5))
def test_no_object_is_too_strange(said: dict[str, Any]) -> None:
    line = app_line(json.dumps(said))
    assert line["level"] in LEVELS
    assert isinstance(line["message"], str)
    assert isinstance(line["request_id"], str)
    json.dumps(line, allow_nan=False)
    kept = {key for key in said if key not in ("time", "message", "msg", "event", "level", "severity", "levelname",
                                               "request_id", "requestId", "req_id", "release")}  # fmt: skip
    assert kept <= set(line["fields"])


@pytest.mark.parametrize(
    ("word", "level"),
    [("INFO", "info"), ("fatal", "critical"), ("emerg", "critical"), ("err", "error"), ("warn", "warning"),
     (50, "error"), (10, "debug"), ("trace", "debug"), ("odd", "info"), (7, "info"), (True, "info"), (None, "info"),
     ([], "info")],
)  # fmt: skip
def test_the_words_of_many_loggers_are_five_levels(word: Any, level: str) -> None:
    assert entries.level(word) == level


def test_a_request_is_told_with_its_slot_and_what_it_took() -> None:
    line = entries.of_access_log(json.dumps(ACCESS), "shop")
    assert line is not None
    assert (line["message"], line["slot"], line["level"]) == ("GET /a 502 250 ms", "green", "error")
    assert (line["at"], line["request_id"], line["process"]) == (1_795_343_400_123_000, "abcdefgh", "entry")
    assert line["fields"]["remote_addr"] == "192.0.2.7"


@pytest.mark.parametrize("text", ["", "{", json.dumps({"status": 200}), '{"epoch": "x"}', "GET / 200"])
def test_a_line_that_was_cut_off_is_none_of_the_entrys(text: str) -> None:
    assert entries.of_access_log(text, "shop") is None


def test_a_complaint_of_nginx_loses_the_queries_in_it() -> None:
    text = '2026/11/22 10:30:00 [crit] 7#7: *9 connect() failed, request: "GET /a?token=x HTTP/1.1", host: "h"'
    line = entries.of_error_log(text, "shop", clock=lambda _: 1000.0)
    assert line is not None
    assert (line["at"], line["level"]) == (1_000_000_000, "critical")
    assert "token" not in line["message"]
    assert 'request: "GET /a?...", host: "h"' in line["message"]


def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    record = {"MESSAGE": [104, 105, 255], "__REALTIME_TIMESTAMP": "5", "PRIORITY": "3"}
    line = entries.of_journal(record, KNOWN)
    assert line is not None
    assert (line["message"], line["level"], line["at"]) == ("hi\ufffd", "error", 5)


def test_a_dump_is_cut_and_says_so() -> None:
    assert entries.cut(app_line("x" * 100_000))["message"].endswith("x...")
    fields = entries.cut(app_line(json.dumps({"message": "m", "dump": "x" * 100_000})))["fields"]
    assert fields == {"left_out": ["dump"]}


# What is wanted


@given(st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_a_level_takes_itself_and_worse(asked: str, has: str) -> None:
    assert Wanted(level=asked).takes(entries.entry(0, level=has)) == (LEVELS.index(has) >= LEVELS.index(asked))


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_both_ends_of_a_time_are_in_it(at: int, since: int, until: int) -> None:
    wanted = Wanted(since=since / 1e6, until=until / 1e6)
    assert wanted.takes(entries.entry(at)) == (since <= at <= until)


def test_every_wish_must_be_met() -> None:
    line = entries.entry(0, **KNOWN, request_id="r", message="it broke", fields={"where": "cellar"})
    good = {"app": "shop", "process": "web", "release": "20261122T", "request_id": "r", "grep": "cel+ar"}
    assert Wanted(**good).takes(line)  # type: ignore[arg-type]  # mypy thinks of the floats, too
    for key in good:
        assert not Wanted(**{**good, key: "other"}).takes(line), key  # type: ignore[arg-type]  # as above


# Secrets

SECRET = st.text("abcXYZ019/+%@:?& ", min_size=6, max_size=30).filter(lambda text: len(text.strip()) >= 6)


@given(SECRET, TEXT, TEXT)
def test_a_secret_is_in_no_line_at_any_depth(secret: str, before: str, after: str) -> None:
    value = secret.strip()
    hidden = entries.hidden({"KEY": secret})
    line = app_line(json.dumps({"message": before + value + after, "deep": [{value: value}]}))
    assert value not in str(entries.without(line, hidden)).replace("[secret KEY]", "")


def test_the_password_of_an_address_is_a_secret_by_itself_as_it_is_written_there_and_unquoted() -> None:
    hidden = entries.hidden({"DATABASE_URL": "postgresql://shop:p%40ssword9@127.0.0.1/shop"})
    text = "password authentication failed: p%40ssword9, p@ssword9, postgresql://shop:p%40ssword9@127.0.0.1/shop"
    told = entries.without(text, hidden)
    assert "ssword9" not in told
    assert told.count("[secret DATABASE_URL]") == 3


def test_a_secret_that_the_end_of_a_long_message_would_cut_is_not_there_in_half() -> None:
    line = app_line("x" * (entries.MESSAGE_MAX - 8) + "correct-horse-battery")
    told = entries.cut(entries.without(line, entries.hidden({"KEY": "correct-horse-battery"})))
    assert "correct" not in told["message"]


def test_a_secret_is_found_as_json_within_a_line_of_words_writes_it() -> None:
    secret = 'pa"ss\\word-1'
    told = entries.without(app_line(f"told {json.dumps({'password': secret})}"), entries.hidden({"KEY": secret}))
    assert "word-1" not in told["message"]


def test_an_object_that_is_too_deep_to_go_through_is_text() -> None:
    text = '{"message": "m", "body": ' + "[" * 400 + "]" * 400 + "}"
    assert entries.without(app_line(text), entries.hidden({"KEY": "correct-horse"}))["message"] == text


def test_words_of_every_day_are_no_secrets() -> None:
    assert entries.hidden({"MODE": "live"}) == []


# The database

ERROR = [
    '2026-11-22 10:30:00.125 UTC [77] shop@shop ERROR:  relation "orders" does not exist at character 15',
    "2026-11-22 10:30:00.125 UTC [77] shop@shop STATEMENT:  select *",
    "\tfrom orders",
]
PLAIN = "2026-11-22 10:31:00.000 UTC [5] LOG:  checkpoint starting: time"


@pytest.mark.parametrize("backwards", [False, True])
def test_what_explains_an_error_of_the_database_goes_on_with_it(backwards: bool) -> None:
    lines = [PLAIN, *ERROR, PLAIN]
    texts = files.joined(lines[::-1] if backwards else lines, entries.DATABASE.match, backwards=backwards)
    _, error, _ = (entries.of_database(text, "") for text in texts)
    assert error is not None
    assert (error["at"], error["level"], error["process"]) == (1_795_343_400_125_000, "error", "database")
    assert error["fields"] == {"user": "shop", "database": "shop"}
    assert error["message"].startswith('relation "orders"')
    assert error["message"].endswith("\tfrom orders")


@pytest.mark.parametrize(
    ("word", "level"),
    [("FATAL", "error"), ("PANIC", "critical"), ("LOG", "info"), ("WARNING", "warning"), ("DEBUG3", "debug")],
)
def test_the_database_has_its_own_words_for_levels(word: str, level: str) -> None:
    line = entries.of_database(PLAIN.replace("LOG", word), "")
    assert line is not None
    assert line["level"] == level


def test_a_time_of_the_database_that_is_not_utc_is_the_hosts() -> None:
    line = entries.of_database(PLAIN.replace("UTC", "WET"), "", clock=lambda _: 7.0)
    assert line is not None
    assert line["at"] == 7_000_000


def test_a_release_is_known_by_its_beginning_and_by_the_commit_that_lines_show() -> None:
    name = KNOWN["release"]
    assert [Wanted(release=word).takes(entries.entry(0, release=name))
            for word in (name, "20261122T", "1a2b3c4", "1a2b", "1a2b3c4d", "1a", "a2b3c4")] == [
        True, True, True, True, True, False, False,
    ]  # fmt: skip
