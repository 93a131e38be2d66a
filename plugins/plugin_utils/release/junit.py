"""Results of `verify` as JUnit's XML, in the form that Jenkins, GitLab and GitHub's reporters read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from ansible_collections.ferryman.ops.plugins.module_utils.release import verify

UNFIT = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


def report(results: Mapping[str, Sequence[Mapping[str, Any]]], *, app: str, environment: str, release: str) -> str:
    """Return a report with a suite for each vantage and a case for each step; `results` are lists by where they ran."""
    root = Xml.Element("testsuites", {"name": f"verify {app} {environment}"})
    for where, listed in results.items():
        vantages = dict.fromkeys(str(result["vantage"]) for result in listed)
        for vantage in vantages:
            place = vantage if vantage == where else f"{where}.{vantage}"
            part = [result for result in listed if result["vantage"] == vantage]
            _suite(root, part, name=f"{app}.{environment}.{place}", release=release)
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(root: Xml.Element, results: Sequence[Mapping[str, Any]], *, name: str, release: str) -> None:
    count = {word: sum(result["result"] == word for result in results) for word in (verify.FAILED, verify.LEFT_OUT)}
    seconds = sum(result["seconds"] for result in results)
    suite = Xml.SubElement(root, "testsuite", {
        "name": name, "tests": str(len(results)), "failures": str(count[verify.FAILED]), "errors": "0",
        "skipped": str(count[verify.LEFT_OUT]), "time": f"{seconds:.3f}",
    })  # fmt: skip
    Xml.SubElement(Xml.SubElement(suite, "properties"), "property", {"name": "release", "value": release})
    for result in results:
        attributes = {"classname": name, "name": _fit(result["name"]), "time": f"{result['seconds']:.3f}"}
        case = Xml.SubElement(suite, "testcase", attributes)
        reason = _fit(str(result.get("reason", "")))
        if result["result"] == verify.FAILED:
            Xml.SubElement(case, "failure", {"message": reason}).text = _fit(f"{result['request']}\n{reason}")
        elif result["result"] == verify.LEFT_OUT:
            Xml.SubElement(case, "skipped", {"message": reason})


def _fit(text: str) -> str:
    return UNFIT.sub("?", text)
