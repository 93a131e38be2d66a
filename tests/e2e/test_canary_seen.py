"""What people see of a release that gets its clients in stages, on a real host: while it goes on, and afterwards.

Requirements: REL-4, INC-3.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from tests.support import drawing, histories
from tests.support.canaries import ended, verdicts
from tests.support.site import ENV, Site
from tests.support.terminal import Terminal
from tests.support.visitors import Visitors

LIMITS = {"hang_s": 2, "warm_s": 2}


@pytest.fixture
def shop(site: Site) -> Iterator[Site]:
    """The site, with two short stages."""
    stages = [{"share": 30, "for_s": 6}, {"share": 60, "for_s": 6}]
    with site.settings(release_stages=stages, release_limits=LIMITS, release_watch_s=3, release_ask_s=20):
        yield site


def why(shop: Site, release: str) -> dict[str, Any]:
    answer = shop.run("release.why", release, "--app", shop.app)
    assert answer.code == 0, str(answer)
    return answer.said


def test_a_pipeline_reads_of_each_stage_and_finds_its_verdict_in_json_report_and_ledger(shop: Site) -> None:
    before = shop.served()
    # Long enough for a look that does not end it: on a busy machine the first one comes after eight seconds.
    stages = [{"share": 30, "for_s": 30}, {"share": 60, "for_s": 6}]
    with shop.settings(release_stages=stages), Visitors(shop):
        answer = shop.deploy(shop.repository.commit(histories.good("seen in its stages")))
    assert answer.code == 0, str(answer)
    release, seen = answer.said["release"], answer.said["canary"]
    assert [(each["share"], each["verdict"]["verdict"]) for each in seen] == [
        (0.3, "promote"), (0.6, "promote"), (1.0, "promote"),
    ]  # fmt: skip
    for stage, where in zip(seen, ("stage 1 of 2", "stage 2 of 2", "the watch"), strict=True):
        told = [line for line in answer.err.splitlines() if f"% of the clients, {where}: " in line]
        assert told, answer.err
        assert f"goes on: {stage['verdict']['sentence']}" in told[-1]
    assert re.search(r"30 % of the clients, stage 1 of 2: holds: ", answer.err), answer.err
    report = Path(answer.said["report"]).read_text(encoding="utf-8")
    assert all(said in report for said in (release, before, "is live", *(each["verdict"]["sentence"] for each in seen)))
    tale = why(shop, release)
    assert [each["sentence"] for each in ended(tale["runs"][-1]["verdicts"])] == [
        each["verdict"]["sentence"] for each in seen
    ]
    assert why(shop, before)["runs"][-1]["status"] == "live"


@pytest.mark.picture
@pytest.mark.at_times(journey="a canary on a terminal")
def test_on_a_terminal_a_release_is_seen_to_fail_and_to_go_back_and_the_hint_says_why(shop: Site) -> None:
    # Few clients, and few errors: more than one look is needed to know how the release fares, on a busy machine too.
    commit = shop.repository.commit(histories.shop("fails some of them", errors=0.1))
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    words = [shop.python, "-m", "ferryman", "deploy", "--env", ENV, "--app", shop.app, "--ref", commit]
    with shop.settings(release_stages=[{"share": 30, "for_s": 120}]), Visitors(shop, rps=20):
        shown = Terminal(words, shop.root, environment | shop.extra, rows=40, columns=drawing.COLUMNS)
        assert shown.wait_for("30 % of the clients have it (stage 1 of 1)"), shown.text()
        assert shown.wait_for("errors new"), shown.text()
        while not re.search(r"so far: [1-9]\d* clients? of", " ".join(shown.text().split())):
            assert shown.process.poll() is None, shown.text()
            time.sleep(0.05)
        meanwhile = shown.raw
        code = shown.wait()
    text = " ".join(shown.text().split())
    assert code == 2, text
    assert "✗" in text
    assert "clients have it" not in text, "the panel is gone"
    release = shop.ledger()[-1]["release"]
    assert "".join(shown.text().split()).endswith(f"release.why{release}--env{ENV}--app{shop.app}"), text
    tale = why(shop, release)
    assert tale["runs"][-1]["status"] == "returned"
    verdict = tale["runs"][-1]["verdicts"][-1]
    assert f"30 %: {verdict['sentence']}" in text
    told = " ".join(shop.begin("release.why", release, "--env", ENV, "--app", shop.app).wait().out.split())
    assert f"30 % goes back: {verdict['sentence']}" in told
    draw(shop, meanwhile, shown.raw)
    reports = sorted((shop.root / ".ferryman" / "runs").glob("*/report.html"))
    assert "went back" in reports[-1].read_text(encoding="utf-8")


@pytest.mark.at_times(journey="a canary and a person's word")
def test_on_a_terminal_a_key_answers_whether_it_goes_on_and_another_one_sends_it_back(shop: Site) -> None:
    before = shop.served()
    commit = shop.repository.commit(histories.good("a quiet evening"))
    unset = ("NO_COLOR", "COLUMNS", "LINES", "CI")
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    words = [shop.python, "-m", "ferryman", "deploy", "--env", ENV, "--app", shop.app, "--ref", commit]
    with shop.settings(release_stages=[{"share": 30, "for_s": 1}, {"share": 60, "for_s": 1}], release_ask_s=60):
        shown = Terminal(words, shop.root, environment | shop.extra, rows=40, columns=drawing.COLUMNS)
        for stage, key in enumerate("pa", 1):
            while shown.raw.count(b"\a") < stage:
                assert shown.process.poll() is None, shown.text()
                time.sleep(0.05)
            assert shown.wait_for(f"(stage {stage} of 2)"), shown.text()
            assert shown.wait_for("Go on (p) or back (a)?"), shown.text()
            time.sleep(1.5)
            shown.press(key)
        code = shown.wait()
    text = " ".join(shown.text().split())
    assert code == 2, text
    assert re.search(r"30 %: \S+@\S+ said to go on\.", text), text
    assert re.search(r"60 %: \S+@\S+ said to go back\.", text), text
    assert shop.served() == before
    assert shown.raw.count(b"\a") == 2, "once for each question"
    told = verdicts(shop, shop.ledger()[-1]["release"])
    assert [(each["verdict"], each["rule"]) for each in told] == [("promote", "operator"), ("rollback", "operator")]


def draw(shop: Site, meanwhile: bytes, afterwards: bytes) -> None:
    """Draw what stood on the terminal in the stage and at the end, with the names that a reader has."""
    lines = [Text(f"$ ./invoke deploy --env {ENV}")]
    for seen, said in ((meanwhile, "seconds later:"), (afterwards, "")):
        lines += [*drawing.named(seen, {str(shop.root): "~/shop"}), Text(), Text(said, "dim")]
    drawing.keep("canary-terminal.svg", lines, "~/shop")


def test_of_a_release_that_is_not_there_nothing_is_told_but_which_there_are(site: Site) -> None:
    answer = site.run("release.why", "19990101", "--app", site.app)
    assert answer.code == 1
    assert "no release '19990101' in the ledger" in answer.text
    assert site.served() in answer.text
