"""The report of a release's stages: whole, by itself, and nobody's text in it is more than text."""

import json
import re
from html.parser import HTMLParser
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import report, report_charts
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


@pytest.mark.parametrize("run", RUNS)
def test_it_needs_no_network_and_no_script(run: list[dict[str, Any]]) -> None:
    text = page(run)
    assert not re.findall(r"https?:|//|url\(|@import|<script|<link|\bsrc=|\bhref=|\bon[a-z]+=", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("run", RUNS)
def test_what_comes_from_outside_is_text_wherever_it_stands(run: list[dict[str, Any]]) -> None:
    looks = json.loads(json.dumps(stages(run)))
    for look in looks:
        look["entries"] = [HOSTILE]
        look["verdict"]["sentence"] = HOSTILE
    line = canary_looks.line(run, **dict.fromkeys(("release", "previous", "who", "commit", "ref", "subject"), HOSTILE))
    line["reason"] = f"{HOSTILE}\n{HOSTILE}"
    plain = {**line, **dict.fromkeys(("release", "previous", "who", "commit", "ref", "subject"), "x"), "reason": "x\nx"}
    hostile = Read(report.page(line, looks, app=HOSTILE, environment=HOSTILE))
    harmless = Read(report.page(plain, stages(run), app="x", environment="x"))
    assert hostile.elements == harmless.elements
    assert hostile.text.count("{{ 7 * 7 }}") > len(report.history(looks))


def test_every_decision_is_in_the_table_with_its_sentence_and_counts() -> None:
    text = Read(page(FAILING)).text
    found = report.history(stages(FAILING))
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


def test_it_is_written_beside_the_looks_and_only_where_there_are_any(tmp_path: Path) -> None:
    line = canary_looks.line(FAILING)
    assert report.write(tmp_path, line, app="notes", environment="prod") == ""
    (tmp_path / "canary.jsonl").write_text("".join(json.dumps(look) + "\n" for look in FAILING))
    path = report.write(tmp_path, line, app="notes", environment="prod")
    assert path == str(tmp_path / "report.html")
    assert Path(path).read_text(encoding="utf-8") == page(FAILING)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["canary.jsonl", "report.html"]


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59.6, "1 min"), (355, "5 min 55 s")])
def test_times(seconds: float, said: str) -> None:
    assert report.span(seconds) == said
