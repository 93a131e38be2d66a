"""The report of a verification: a case for each step and vantage, as readers of JUnit's XML expect."""

from typing import Any
from xml.etree import ElementTree as Xml

from ansible_collections.ferryman.ops.plugins.plugin_utils.release import junit


def result(name: str, vantage: str, word: str = "passed", reason: str = "") -> dict[str, Any]:
    request = {"name": name, "request": "GET /", "vantage": vantage, "seconds": 0.25}
    return {**request, "result": word, "reason": reason}


RESULTS = {
    "web1": [
        result("front page", "slot"),
        result("front page", "entry", "failed", "expected status 200, came 500: <&> \x00"),
        result("write", "entry", "left out", "it writes"),
    ],
    "driver": [result("front page", "driver")],
}


def test_every_step_is_a_case_of_the_vantage_it_was_asked_from() -> None:
    root = Xml.fromstring(junit.report(RESULTS, app="notes", environment="prod", release="r1"))
    suites = {suite.get("name"): suite for suite in root}
    assert list(suites) == ["notes.prod.web1.slot", "notes.prod.web1.entry", "notes.prod.driver"]
    entry = suites["notes.prod.web1.entry"]
    assert {key: entry.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "2", "failures": "1", "errors": "0", "skipped": "1", "time": "0.500",
    }  # fmt: skip
    failed, left_out = entry.findall("testcase")
    assert (failed.get("classname"), failed.get("name")) == ("notes.prod.web1.entry", "front page")
    assert failed[0].tag == "failure"
    assert failed[0].get("message") == "expected status 200, came 500: <&> ?"
    assert "GET /" in str(failed[0].text)
    assert (left_out[0].tag, left_out[0].get("message")) == ("skipped", "it writes")
    assert [each.get("value") for each in root.iter("property")] == ["r1"] * 3
