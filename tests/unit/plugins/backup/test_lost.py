"""What a drill says of the acknowledged that is not there, over histories of a server and a stream that is behind."""

from ansible_collections.ferryman.ops.plugins.module_utils.backup import lost
from hypothesis import given
from hypothesis import strategies as st

GAPS = st.lists(st.floats(0, 200), min_size=1, max_size=30)


@given(gaps=GAPS, behind=st.integers(0, 30), copied_s=st.floats(0, 100))
def test_no_less_is_told_than_was_lost_and_nothing_where_all_is_there(
    gaps: list[float], behind: int, copied_s: float
) -> None:
    """Transactions are numbered as they are committed; the archive has all but the last few of them."""
    at = [sum(gaps[: n + 1]) for n in range(len(gaps))]
    came = max(0, len(at) - behind)
    marker = lost.Marker(len(at), at[-1])
    there = lost.There(came == len(at), came + 1, at[came - 1] if came else 0.0)
    found = lost.seconds(marker, there, copied_s)
    if came == len(at):
        assert (found, lost.wrong(found, synchronous=True), lost.said(found)) == (0.0, "", lost.ALL)
        return
    truly = at[-1] - at[came] + copied_s  # since the first that is not there
    assert found >= truly - 0.01
    assert lost.wrong(found, synchronous=True)
    if behind == 1:
        assert found <= copied_s + 0.01, "a server at rest has lost nothing but the marker"
    assert bool(lost.wrong(found, synchronous=False)) is (found > lost.ALLOWED_S)


def test_a_marker_of_another_history_is_not_looked_for_by_its_number() -> None:
    assert lost.strayed(lost.Marker(10, 1000.0, 4), 4) == ""
    said = lost.strayed(lost.Marker(10, 1000.0, 5), 4)
    assert said.startswith("the source is on timeline 5, and what was restored ends on 4: nothing is there of what")


@given(lost_s=st.floats(0.001, 10**6))
def test_where_commits_wait_nothing_may_be_lost_however_little(lost_s: float) -> None:
    assert "backup_synchronous" in lost.wrong(lost_s, synchronous=True)


def test_what_may_be_lost_passes_and_is_told_and_more_does_not() -> None:
    marker = lost.Marker(10, 1000.0)
    little, much = (lost.seconds(marker, lost.There(False, 8, last), 2.0) for last in (990.0, 900.0))
    assert (little, lost.wrong(little, synchronous=False)) == (12.0, "")
    assert lost.said(little) == "what was acknowledged in up to 12.0 s before is not there; 60 s may be lost"
    assert lost.wrong(much, synchronous=False).startswith("what was acknowledged in the last 102.0 s is not there")
