"""How many instances run: what was said last, on every host the same, within what is declared."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import sizes
from hypothesis import given
from hypothesis import strategies as st

from ferryman import scaling

TOLD = {"since": "2026-11-27T08:00:00Z", "who": "ada@desk", "run": "r1"}
PROCESSES: dict[str, dict[str, Any]] = {
    "web": {"kind": "web", "command": "serve", "instances": 2, "instances_min": 2, "instances_max": 5},
    "worker": {"kind": "worker", "command": "work"},
    "nightly": {"kind": "cron", "command": "tidy", "instances": 3},
}
names = st.sampled_from(["web", "worker"])
counts = st.integers(1, 10)
words = st.lists(st.dictionaries(names, st.one_of(counts, st.just(sizes.DECLARED)), min_size=1), max_size=6)


def said(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what is scaled after each of these words."""
    scale: dict[str, dict[str, Any]] = {}
    for number, wanted in enumerate(told):
        scale = sizes.after(scale, wanted, {**TOLD, "run": f"r{number}"})
    return scale


@given(words)
def test_the_last_word_counts_and_declared_ends_it(told: list[dict[str, Any]]) -> None:
    last: dict[str, Any] = {}
    for wanted in told:
        last |= wanted
    scale = said(told)
    assert sizes.told(scale) == {name: count for name, count in sorted(last.items()) if count != sizes.DECLARED}
    for name, process in PROCESSES.items():
        count = last.get(name, sizes.DECLARED)
        declared = 1 if process["kind"] == "cron" else process.get("instances", 1)
        assert sizes.count(name, process, scale) == (declared if count == sizes.DECLARED else count)


@given(words, words)
def test_who_says_the_same_again_changes_nothing(told: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    scale = said([*told, *more])
    assert sizes.after(scale, sizes.told(scale), {**TOLD, "run": "again"}) == scale


@given(words, words)
def test_between_two_sizes_the_larger_runs_of_each(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    both = [said(one), said(other)]
    scale = sizes.larger(PROCESSES, *both)
    for name, process in PROCESSES.items():
        assert sizes.count(name, process, scale) == max(sizes.count(name, process, each) for each in both)


@given(counts, counts)
def test_all_that_is_out_of_bounds_is_told_at_once(web: int, worker: int) -> None:
    known = {name: sizes.bounds(process) for name, process in PROCESSES.items() if sizes.can_be_scaled(process)}
    assert known == {"web": (2, 5), "worker": (1, 10)}
    found = [*sizes.outside(known, {"web": web, "worker": worker, "nightly": 1})]
    assert len(found) == 1 + (not 2 <= web <= 5)
    assert "'nightly' is no process that can be scaled (web, worker)" in found
    assert (f"web={web} is out of bounds: at least 2 (instances_min), at most 5 (instances_max)" in found) == (
        not 2 <= web <= 5
    )


@given(st.dictionaries(names, st.one_of(counts, st.just(sizes.DECLARED), st.text(max_size=4), st.none(), st.floats())))
def test_what_is_no_count_is_named_and_nobody_counts_it(wanted: dict[str, Any]) -> None:
    wrong = {said.partition("=")[0] for said in sizes.misread(wanted)}
    counted = sizes.counted(KNOWN, wanted)
    assert {*counted} | wrong == {*wanted}
    assert not {*counted} & wrong
    assert all(isinstance(count, int) for count in counted.values())


def test_the_command_line_and_the_hosts_have_one_word_for_what_is_declared() -> None:
    assert scaling.DECLARED == sizes.DECLARED


KNOWN = {"web": {"kind": "web", "declared": 2}, "worker": {"kind": "worker", "declared": 1}}


@given(words, st.dictionaries(names, st.one_of(counts, st.just(sizes.DECLARED)), min_size=1))
def test_the_way_back_leads_to_what_the_ledger_has_and_the_way_there_to_what_is_wanted(
    told: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    scale = said(told)
    before = {"sizes": scale, "servers": sizes.told(scale).get("web", 0)}
    found = sizes.ways(KNOWN, wanted, before, {**TOLD, "run": "this"})
    there, back = found["there"], found["back"]
    for name, process in PROCESSES.items():
        expected = found["counts"].get(name, sizes.count(name, process, scale))
        assert sizes.count(name, process, there["sizes"]) == expected
    assert back["sizes"] == scale
    assert there["servers"] == found["counts"].get("web", 0), "whoever scales workers alone reloads nothing"
    assert back["servers"] == (sizes.count("web", PROCESSES["web"], scale) if "web" in wanted else 0)
    assert there["kept"] == (wanted.get("web", sizes.DECLARED) != sizes.DECLARED)
    short = {"release": "r", "who": "ada", "instances": found["counts"], "was": dict.fromkeys(wanted, 1)}
    lines = sizes.lines(short, found["after"])
    assert sizes.last([lines["there"], lines["back"]]) == found["after"], "what came to nothing is no size"
    assert found["after"]["servers"] == sizes.told(there["sizes"]).get("web", 0)


def test_a_site_of_files_alone_cannot_be_scaled() -> None:
    process = {"kind": "web", "command": "", "instances": 1}
    assert not sizes.can_be_scaled(process)
    assert sizes.count("web", process, {"web": {"instances": 4}}) == 1


def test_what_came_to_nothing_is_not_what_the_ledger_has() -> None:
    done = {"event": "scale", "sizes": {"web": {"instances": 3}}, "servers": 3, "reason": "web from 2 to 3"}
    failed = {"event": "scale", "instances": {"web": 5}, "reason": "web from 3 to 5; it came to nothing: ill"}
    assert sizes.last([{"event": "deploy"}, done, failed, {"event": "unlock"}]) == {
        "sizes": {"web": {"instances": 3}},
        "servers": 3,
    }
    assert sizes.last([failed]) == {}
