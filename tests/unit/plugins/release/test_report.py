"""The report of a deploy: whole, by itself, and nobody's text in it is more than text."""

import json
import re
from html.parser import HTMLParser
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report, report_charts, report_stages
from hypothesis import given
from hypothesis import strategies as st
from tests.support import canary_looks

HEALTHY, FAILING, QUIET, BESIDE = (
    canary_looks.looks(scenario)
    for scenario in (canary_looks.HEALTHY, canary_looks.FAILING, canary_looks.QUIET, canary_looks.BESIDE_BASELINE)
)
RUNS = [
    pytest.param(run, id=name)
    for name, run in zip(("good", "bad", "quiet", "beside a baseline"), (HEALTHY, FAILING, QUIET, BESIDE), strict=True)
]
HOSTILE = (
    """</style></title><script>alert('x')</script><img src="//example.org/x" onerror=alert(1)> {{ 7 * 7 }} &lt; "' """
)


PLAIN = canary_looks.line(HEALTHY, duration_s=22.3, verdicts=[])
"""The ledger's line of a deploy without stages that went well."""
MOMENT = "2026-11-27 10:00:00 UTC"


def plain(**more: Any) -> str:
    """Return the report of a deploy without stages."""
    return report.page({**PLAIN, "at": "2026-11-27T10:00:00Z", **more}, [], app="notes", environment="prod")


def stages(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [look for look in run if "stage" in look]


def page(run: list[dict[str, Any]], *, app: str = "notes", environment: str = "prod", **more: Any) -> str:
    return report.page(canary_looks.line(run, **more), stages(run), app=app, environment=environment)


class Read(HTMLParser):
    """A page as a browser takes it: elements with their attributes' names, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


def test_it_says_what_was_deployed_by_whom_and_what_became_of_it() -> None:
    bad = stages(FAILING)[-1]["verdict"]
    text = Read(page(FAILING)).text
    for said in (
        "notes on prod", "20261127T093000Z-1a2b3c4", "went back", "1a2b3c4 Sort notes by title (main)",
        "20261120T101500Z-9f8e7d6", "ada@laptop", "2026-11-27 09:30:00 UTC", "web1", bad["sentence"],
    ):  # fmt: skip
        assert said in text
    assert "is live" in Read(page(HEALTHY)).text


def test_without_stages_it_has_its_head_and_says_so_in_the_place_of_charts_and_verdicts() -> None:
    read = Read(plain())
    for said in (
        "notes on prod", "20261127T093000Z-1a2b3c4", "is live", "1a2b3c4 Sort notes by title (main)",
        "20261120T101500Z-9f8e7d6", "ada@laptop", f"{MOMENT} after 22 s", "Host web1",
        "All clients were moved at once.",
    ):  # fmt: skip
        assert said in read.text
    assert not {"svg", "table", "figure", "footer", "h2"} & {tag for tag, _ in read.elements}
    assert [tag for tag, _ in read.elements].count("section") == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [("returned", "Clients were moved to it, and sent back."), ("failed", "It failed before it had clients.")],
)
def test_one_that_came_to_nothing_says_whether_clients_had_it_and_why_with_its_evidence(status: str, said: str) -> None:
    reason = "app2: it never got ready\n  Traceback\n  ValueError: no\n-> `logs` has more"
    text = plain(status=status, reason=reason)
    assert said in text
    assert '<p class="said">app2: it never got ready</p>' in text
    assert "Traceback\n  ValueError: no\n-&gt; `logs` has more</pre>" in text
    assert "moved at once" not in text


def test_without_a_reason_there_is_no_empty_paragraph_nor_any_other_part_without_words() -> None:
    assert not re.findall(r"<(p|pre|dd|dt|section)[^>]*>\s*</", plain())
    assert '<p class="said">' not in plain()


def test_hosts_are_named_by_what_they_do_where_not_all_do_the_same() -> None:
    text = Read(plain(hosts=["app1", "app2"], entries=["web1", "web2"], left_out=["app3"])).text
    for said in ("App hosts app1, app2", "Entries web1, web2", "Left out app3"):
        assert said in text
    assert "Hosts app1, web1" in Read(plain(hosts=["app1", "web1"], entries=["app1", "web1"])).text
    assert "Left out" not in plain()


def test_steps_that_passed_are_told_by_vantage_and_hosts_that_say_the_same_say_it_once() -> None:
    slot, entry = {"passed": 3, "left_out": 5, "seconds": 0.1}, {"passed": 1, "left_out": 0, "seconds": 0.2}
    text = Read(plain(verified={"web1": {"slot": slot, "entry": entry}})).text
    assert "Verified 3 steps passed at the slot, 5 left out 1 step passed through the entry" in text
    text = Read(plain(verified={"app1": {"slot": slot}, "app2": {"slot": slot}, "web1": {"entry": entry}})).text
    assert "3 steps passed at the slot, 5 left out (app1, app2) 1 step passed through the entry (web1)" in text
    assert "Verified" not in plain(verified={})


def test_a_hotfix_is_called_one() -> None:
    assert "hotfix" in Read(plain(hotfix=True)).text
    assert "hotfix" not in Read(plain()).text


def test_a_baseline_is_told_apart_from_all_others_of_the_old_release() -> None:
    text = Read(page(BESIDE)).text
    for said in (
        "Baseline: the old release, as young",
        "All others, with the old release",
        "Baseline: ",
        "All others: ",
        "baseline: at most",
    ):
        assert said in text
    assert "aseline" not in Read(page(HEALTHY)).text


def test_what_hosts_said_beyond_the_first_line_is_there_too() -> None:
    text = page(FAILING, reason="web1: it died\n  | Traceback\n-> look at it")
    assert '<p class="said">web1: it died</p>' in text
    assert "| Traceback\n-&gt; look at it</pre>" in text
    assert "<pre>" not in page(FAILING)


@pytest.mark.parametrize("run", [*RUNS, pytest.param([], id="without stages")])
def test_it_needs_no_network_and_no_script(run: list[dict[str, Any]]) -> None:
    text = page(run) if run else plain()
    assert not re.findall(r"https?:|//|url\(|@import|<script|<link|\bsrc=|\bhref=|\bon[a-z]+=", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("run", RUNS)
def test_what_comes_from_outside_is_text_wherever_it_stands(run: list[dict[str, Any]]) -> None:
    looks = json.loads(json.dumps(stages(run)))
    for look in looks:
        look["entries"] = [HOSTILE]
        look["verdict"]["sentence"] = HOSTILE
    line = canary_looks.line(run, **dict.fromkeys(("release", "previous", "who", "commit", "ref", "subject"), HOSTILE))
    line |= {"reason": f"{HOSTILE}\n{HOSTILE}", "hosts": ["app1"]}
    harmless_line = {
        **line,
        **dict.fromkeys(("release", "previous", "who", "commit", "ref", "subject"), "x"),
        "reason": "x\nx",
    }
    hostile = Read(report.page(line, looks, app=HOSTILE, environment=HOSTILE))
    harmless = Read(report.page(harmless_line, stages(run), app="x", environment="x"))
    assert hostile.elements == harmless.elements
    assert hostile.text.count("{{ 7 * 7 }}") > len(report_stages.history(looks))


@pytest.mark.parametrize("status", ["live", "failed"])
def test_without_stages_what_comes_from_outside_is_text_too(status: str) -> None:
    told = ("release", "previous", "who", "commit", "ref", "subject")
    seen = {"slot": {"passed": 3, "left_out": 5}}

    def read(text: str) -> Read:
        hosts = {"hosts": [text], "entries": [text, text], "left_out": [text], "verified": {text: seen, "y": seen}}
        line = {**PLAIN, **dict.fromkeys(told, text), **hosts, "status": status, "reason": f"{text}\n{text}"}
        return Read(report.page(line, [], app=text, environment=text))

    assert read(HOSTILE).elements == read("x").elements
    assert read(HOSTILE).text.count("{{ 7 * 7 }}") > len(told)


def test_every_decision_is_in_the_table_with_its_sentence_and_counts() -> None:
    text = Read(page(FAILING)).text
    found = report_stages.history(stages(FAILING))
    kept = [[*same] for _, same in groupby(stages(FAILING), lambda look: (look["stage"], look["verdict"]["verdict"]))]
    assert [each["word"] for each in found] == [same[0]["verdict"]["verdict"] for same in kept]
    for each, same in zip(found, kept, strict=True):
        new = same[-1]["verdict"]["arms"]["new"]
        assert each["sentence"] == same[-1]["verdict"]["sentence"]
        assert each["sentence"] in text
        assert f"{new['failed']:,} of {new['requests']:,} failed" in text


def test_who_was_asked_is_marked() -> None:
    assert "no data, asks" in Read(page(QUIET)).text


@pytest.mark.parametrize("run", RUNS)
def test_both_charts_are_told_in_words_too(run: list[dict[str, Any]]) -> None:
    text = page(run)
    charts = report_charts.charts(stages(run))
    assert [chart.key for chart in charts] == ["errors", "p95"]
    assert all(chart.told in text for chart in charts)
    assert text.count('role="img" aria-labelledby=') == 2


def test_the_words_of_a_chart_have_the_worst_of_both() -> None:
    errors, _ = report_charts.charts(stages(FAILING))
    found = re.search(r"new: at most ([\d.]+)\s%; old: at most ([\d.]+)\s%", errors.told)
    assert found
    assert float(found[1]) > 5 > float(found[2])


@pytest.mark.parametrize("run", RUNS)
def test_bands_are_the_stages_side_by_side_over_the_whole_width(run: list[dict[str, Any]]) -> None:
    found = report_charts.bands(stages(run))
    shares = {look["stage"]: look["share"] for look in stages(run)}
    assert [band.share for band in found] == list(shares.values())
    assert found[0].left == 0
    assert sum(band.width for band in found) == pytest.approx(100)
    for before, after in pairwise(found):
        assert after.left == pytest.approx(before.left + before.width)


COUNTS = st.fixed_dictionaries(
    {"requests": st.integers(0, 9), "failed": st.integers(0, 9), "p95_s": st.none() | st.floats(0.001, 600)}
)
LATELY = st.fixed_dictionaries({"new": COUNTS, "old": COUNTS})


@given(st.lists(st.tuples(st.floats(0.5, 100), LATELY), min_size=1, max_size=300))
def test_lines_stay_in_their_chart_go_from_left_to_right_and_are_no_longer_than_they_may(given: list[Any]) -> None:
    at, looks = 1e9, []
    for later, lately in given:
        at += later
        for arm in lately.values():
            arm["failed"] = min(arm["failed"], arm["requests"])
        looks.append({"at": at, "since": 1e9, "stage": 0, "share": 0.1, "lately": lately})
    for chart in report_charts.charts(looks):
        for path in chart.paths.values():
            points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) (-?[\d.]+)", path)]
            assert len(points) <= report_charts.POINTS + 1
            assert [x for x, _ in points] == sorted(x for x, _ in points)
            assert all(0 <= x <= report_charts.WIDTH and -0.2 <= y <= report_charts.HEIGHT for x, y in points), path


def test_a_line_has_a_gap_where_nobody_asked() -> None:
    nobody = {"requests": 0, "failed": 0, "p95_s": None}
    some = {"requests": 4, "failed": 1, "p95_s": 0.2}
    looks = [
        {"at": 1e9 + number, "since": 1e9, "stage": 0, "share": 0.1, "lately": {"new": new, "old": nobody}}
        for number, new in enumerate((some, some, nobody, some), 1)
    ]
    errors, _ = report_charts.charts(looks)
    assert re.sub(r"[\d. ]+", "", errors.paths["new"]) == "MhLMh"
    assert errors.paths["old"] == ""
    assert "old: nothing measured" in errors.told


def test_it_is_written_into_the_runs_directory_beside_the_looks_where_there_are_any(tmp_path: Path) -> None:
    line = canary_looks.line(FAILING)
    path = report.write(tmp_path, PLAIN, app="notes", environment="prod")
    assert path == str(tmp_path / "report.html")
    assert Path(path).read_text(encoding="utf-8") == report.page(PLAIN, [], app="notes", environment="prod")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "canary.jsonl").write_text("".join(json.dumps(look) + "\n" for look in FAILING))
    path = report.write(tmp_path, line, app="notes", environment="prod")
    assert path == str(tmp_path / "report.html")
    assert Path(path).read_text(encoding="utf-8") == page(FAILING)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["canary.jsonl", "report.html"]


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59.6, "1 min"), (355, "5 min 55 s")])
def test_times(seconds: float, said: str) -> None:
    assert report.span(seconds) == said
