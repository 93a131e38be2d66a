"""Who may go on with an exchange of databases, and who may write: over every state, and over histories of both."""

from typing import Any

from ansible_collections.ferryman.ops.plugins.module_utils.release import exchanges
from hypothesis import given
from hypothesis import strategies as st

PHASES = ("restore", "quiet", "exchange", "undone")
RUNS = ("a", "b")
STATES: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}), st.fixed_dictionaries({"run": st.sampled_from(RUNS), "phase": st.sampled_from(PHASES)})
)


@given(told=STATES, run=st.sampled_from(RUNS), phase=st.sampled_from(PHASES), shifting=st.booleans())
def test_only_who_left_it_there_goes_on_and_never_beside_a_writer(
    told: dict[str, str], run: str, phase: str, shifting: bool
) -> None:
    goes_on = exchanges.goes_on(told, run=run, phase=phase, shifting=shifting)
    if goes_on:
        assert told == {"run": run, "phase": phase}
    if phase in exchanges.BEGUN:
        assert not (goes_on and exchanges.may_write(told)), "one of the two has to wait"
        assert not (goes_on and not shifting), "the guard has ended it"


@given(acts=st.lists(st.tuples(st.sampled_from(("restore", "quiet", "exchange", "commit", "undo", "write")),
                               st.sampled_from(RUNS)), max_size=40))  # fmt: skip
def test_whatever_comes_in_whatever_order_nobody_writes_into_what_may_be_given_up(acts: list[tuple[str, str]]) -> None:
    """Each act is done where the decision lets it be done; writers are stopped where it gets quiet."""
    told: dict[str, Any] = {}
    shifting: str = ""  # the run whose shift is to be confirmed
    exchanged, writers = False, 0

    def goes_on(run: str, phase: str) -> bool:
        return exchanges.goes_on(told, run=run, phase=phase, shifting=shifting == run)

    for act, run in acts:
        if act == "restore" and not told:
            told = {"run": run, "phase": "restore"}
        elif act == "quiet" and goes_on(run, "restore"):
            told, shifting, writers = {"run": run, "phase": "quiet"}, run, 0
        elif act == "exchange" and goes_on(run, "quiet"):
            told, exchanged = {"run": run, "phase": "exchange"}, True
        elif act == "commit" and goes_on(run, "exchange"):
            assert exchanged, "what is committed serves"
            told, shifting, exchanged = {}, "", False
        elif act == "undo":
            told, shifting, exchanged = {}, "", False
        elif act == "write":
            writers += exchanges.may_write(told)
        assert not (writers and exchanged)
