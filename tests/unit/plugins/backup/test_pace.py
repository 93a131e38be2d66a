"""How fast a base backup may be taken, and what a limit is refused for."""

from ansible_collections.ferryman.ops.plugins.module_utils.backup import pace
from hypothesis import given
from hypothesis import strategies as st

rates, sizes, spans = st.integers(1, 1000), st.integers(0, 10**15), st.integers(1, 10**7)


def test_without_a_limit_barman_is_told_of_none_and_no_database_is_too_large() -> None:
    assert pace.words(0) == []
    assert pace.problem(0, 10**15, 1) == ""


@given(rates)
def test_what_postgresql_is_told_is_within_its_bounds_and_never_more_than_the_limit(rate: int) -> None:
    _, told = pace.words(rate)
    assert 32 <= int(told) <= 1048576  # pg_basebackup --max-rate, in KiB
    assert rate * 10**6 - 1024 < int(told) * 1024 <= rate * 10**6


@given(rates, sizes, spans)
def test_a_backup_that_would_outlast_its_schedule_is_refused_with_the_least_rate_that_would_do(
    rate: int, size: int, every_s: int
) -> None:
    said = pace.problem(rate, size, every_s)
    assert bool(said) == (size / 10**6 / rate > every_s)
    if said:
        least = int(said.partition("at least ")[2].split(",")[0])
        assert least > rate
        assert not pace.problem(least, size, every_s)
        assert pace.problem(least - 1, size, every_s)


def test_the_refusal_names_the_option_and_the_way_out() -> None:
    assert pace.problem(1, 500 * 10**9, 86400) == (
        "backup_database_rate: at 1 MB/s a base backup of 500,000 MB takes 138.9 hours, and one is due every 24.0 "
        "(backup_run_every_s): at least 6, or 0 for no limit"
    )
