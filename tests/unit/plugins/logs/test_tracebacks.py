"""All of a traceback is an error, whichever way the journal is read, and nothing else becomes one."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries, tracebacks
from hypothesis import given
from hypothesis import strategies as st

TRACEBACK = [
    tracebacks.HEAD,
    '  File "app.py", line 3, in <module>',
    "    main()",
    "",
    "RuntimeError: no database today",
]
PLAIN = st.sampled_from(["Booting worker", "it is well", "  an indented line", "x" * 9])


@st.composite
def journals(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    """What units wrote beside each other: unit, message, and the level that it is to have."""
    units = []
    for unit in ("web", "worker"):
        told: list[tuple[str, str, str]] = []
        for whole in draw(st.lists(st.one_of(st.just(TRACEBACK), PLAIN.map(lambda text: [text])), max_size=6)):
            told += [(unit, text, "error" if len(whole) > 1 else "info") for text in whole]
        units.append(told)
    mixed: list[tuple[str, str, str]] = []
    while any(units):
        mixed.append(draw(st.sampled_from([each for each in units if each])).pop(0))
    return mixed


def placed(journal: list[tuple[str, str, str]]) -> list[tuple[str, Any]]:
    return [
        (str(at), entries.of_application(text, at, "info", unit=unit)) for at, (unit, text, _) in enumerate(journal)
    ]


@given(journals())
def test_a_traceback_is_an_error_to_its_end_and_nothing_else_is(journal: list[tuple[str, str, str]]) -> None:
    wanted = [level for _, _, level in journal]
    there = list(tracebacks.forwards(placed(journal)))
    assert [entry["level"] for _, entry in there if entry] == wanted
    back = list(tracebacks.backwards(reversed(placed(journal))))
    assert [entry["level"] for _, entry in back if entry] == wanted[::-1]
    assert [place for place, _ in back] == [place for place, _ in there][::-1]


def test_what_names_a_level_of_its_own_keeps_it() -> None:
    journal = [("web", text, "") for text in [*TRACEBACK[:3], '{"level": "warning", "message": "slow"}']]
    *_, (_, last) = tracebacks.forwards(placed(journal))
    assert last
    assert last["level"] == "warning"


def test_reading_back_waits_for_no_more_than_is_bounded() -> None:
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield str(taken), entries.of_application("  deep", taken, "info", unit="web")

    first = entries.of_application("RuntimeError", 0, "info", unit="web")
    read = tracebacks.backwards(pair for source in ([("0", first)], endless()) for pair in source)
    assert next(read) == ("0", first)
    assert taken <= tracebacks.HELD_MAX + 1
