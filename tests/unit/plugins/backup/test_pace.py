"""How fast a base backup may be taken, and what a limit is refused for."""

from ansible_collections.ferryman.ops.plugins.module_utils.backup import pace
from hypothesis import given
from hypothesis import strategies as st

rates, sizes, spans = st.integers(1, 1000), st.integers(0, 10**15), st.integers(1, 10**7)
MB, DAY_S = 10**6, 86400


def test_without_a_limit_barman_is_told_of_none_and_no_database_is_too_large() -> None:
    assert pace.held_back("0", 10**15, 1) == []
    assert pace.problem("0", 10**15, 1) == ""


@given(rates)
def test_what_postgresql_is_told_is_within_its_bounds_and_never_more_than_the_limit(rate: int) -> None:
    _, told = pace.held_back(f"{rate}", 10**15, 1)
    assert 32 <= int(told) <= 1048576  # pg_basebackup --max-rate, in KiB
    assert rate * 10**6 - 1024 < int(told) * 1024 <= rate * 10**6


def test_left_to_itself_a_database_of_a_gigabyte_is_read_gently_and_a_small_one_at_once() -> None:
    assert pace.reckoned(10**9, DAY_S) == 10
    assert pace.reckoned(100 * MB, DAY_S) == 0


@given(sizes, spans)
def test_left_to_itself_a_backup_is_over_in_a_quarter_of_the_time_until_the_next_and_no_database_is_too_large(
    size: int, every_s: int
) -> None:
    rate = pace.reckoned(size, every_s)
    assert pace.problem("auto", size, every_s) == ""
    assert pace.held_back("auto", size, every_s) == pace.words(rate)
    if rate:
        assert size / (rate * MB) <= every_s / 4


@given(sizes, spans)
def test_left_to_itself_no_backup_is_hurried_that_has_the_time(size: int, every_s: int) -> None:
    rate = pace.reckoned(size, every_s)
    if rate > 10:
        assert size / ((rate - 1) * MB) > every_s / 4


@given(rates, sizes, spans)
def test_a_backup_that_would_outlast_its_schedule_is_refused_with_the_least_rate_that_would_do(
    rate: int, size: int, every_s: int
) -> None:
    said = pace.problem(f"{rate}", size, every_s)
    assert bool(said) == (size / 10**6 / rate > every_s)
    if said:
        least = int(said.partition("at least ")[2].split(",")[0])
        assert least > rate
        assert not pace.problem(f"{least}", size, every_s)
        assert pace.problem(f"{least - 1}", size, every_s)


def test_the_refusal_names_the_option_and_the_way_out() -> None:
    assert pace.problem("1", 500 * 10**9, DAY_S) == (
        "backup_database_rate: at 1 MB/s a base backup of 500,000 MB takes 138.9 hours, and one is due every 24.0 "
        "(backup_run_every_s): at least 6, or auto"
    )
