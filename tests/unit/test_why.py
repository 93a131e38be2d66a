"""What people read of why a release went on or back; the ledger's lines are those of the real verdict."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger
from tests.support import canary_looks

from ferryman import why

FAILING = canary_looks.line(canary_looks.looks(canary_looks.FAILING))
PLAIN = {key: value for key, value in FAILING.items() if key not in ("verdicts", "duration_s")}
PLAIN |= {"status": "failed", "reason": "web1: it never got ready\n  | Traceback"}


def page(*lines: dict[str, Any], word: str = "1a2b3c4") -> str:
    tale = ledger.tale(lines, word)
    return why.page({"environment": "prod", "app": "notes", "stands": tale["status"], **tale})


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def test_each_verdict_is_told_with_its_time_share_sentence_and_counts() -> None:
    text = in_one_line(page(FAILING))
    first, second = FAILING["verdicts"]
    assert f"09:35:00 10 % goes on: {first['sentence']}" in text
    assert f"25 % goes back: {second['sentence']}" in text
    for verdict in (first, second):
        new = verdict["arms"]["new"]
        assert f"new: {new['failed']} of {new['requests']} requests failed, p95" in text
    assert "deploy by ada@laptop: its clients were sent back after" in text
    assert text.startswith("20261127T093000Z-1a2b3c4 on prod: returned")
    assert "main: Sort notes by title" in text


def test_what_was_asked_and_who_answered_is_told() -> None:
    question = {**FAILING["verdicts"][0], "verdict": "no_data", "rule": "few", "ask": True, "sentence": "Too few."}
    answer = {**question, "verdict": "promote", "rule": "operator", "ask": False, "who": "ada@laptop"}
    answer["sentence"] = "ada@laptop said to go on."
    text = in_one_line(page({**FAILING, "verdicts": [question, answer]}))
    assert "10 % no data: Too few. Somebody had to decide." in text
    assert "10 % goes on: ada@laptop said to go on. new: " in text


def test_a_release_without_stages_has_what_the_ledger_says() -> None:
    text = page(PLAIN)
    assert "deploy by ada@laptop: it failed before it had clients" in in_one_line(text)
    assert "  web1: it never got ready\n    | Traceback" in text


def test_a_release_that_was_left_later_says_to_which_and_by_whom() -> None:
    back = {"event": "rollback", "status": "live", "release": "r0", "previous": FAILING["release"], "who": "bob@desk"}
    text = in_one_line(page({**FAILING, "status": "live"}, {**back, "at": "2026-11-28T08:00:00Z", "run": "2"}))
    assert "2026-11-28T08:00:00Z rollback from it to r0 by bob@desk" in text


def test_it_fits_a_screen_and_moves_no_cursor() -> None:
    hostile = {**FAILING, "subject": "a\x1b[2J" + "word " * 60, "reason": "reason " * 60}
    text = page(hostile)
    assert max(map(len, text.splitlines())) <= 79
    assert "\x1b" not in text


def test_a_hotfix_is_called_one() -> None:
    assert "deploy of a hotfix by ada@laptop" in in_one_line(page({**FAILING, "hotfix": True}))
    assert "hotfix" not in page(FAILING)
