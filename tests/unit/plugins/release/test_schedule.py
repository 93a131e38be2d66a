"""What is taken for a schedule, systemd reads; what its manual writes is taken."""

import subprocess
from collections.abc import Collection

import pytest
from ansible_collections.ferryman.ops.plugins.plugin_utils.release import schedule
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

# systemd.time(7), the examples of "Calendar Events", and the short words; then ranges that hold one value.
MANUAL = """\
Sat,Thu,Mon..Wed,Sat..Sun
Mon,Sun 12-*-* 2,1:23
Wed *-1
Wed..Wed,Wed *-1
Wed, 17:48
Wed..Sat,Tue 12-10-15 1:2:3
*-*-7 0:0:0
10-15
monday *-12-* 17:00
Mon,Fri *-*-3,1,2 *:30:45
12,14,13,12:20,10,30
12..14:10,20,30
mon,fri *-1/2-1,3 *:30:45
03-05 08:05:40
08:05:40
05:40
Sat,Sun 12-05 08:05:40
Sat,Sun 08:05:40
2003-03-05 05:40
05:40:23.4200004/3.1700005
2003-02..04-05
2003-03-05 05:40 UTC
2003-03-05
03-05
hourly
daily
daily UTC
monthly
weekly
weekly Pacific/Auckland
yearly
annually
*:2/3
*-02~03
Mon *-05~07/1
minutely
quarterly
semiannually
@1395716396
Thu,Fri 2012-*-1,5 11:12:13
05..05:00
*:0..10/15
Mon *-*-01..07/7
*:*:0.5..1/3
*:*:0..26/2147.483647
*:0..5/2147483647""".splitlines()
NO_TIMES = [
    "every day", "0 3 * * *", "", " daily", "daily ", "3", "25:00", "3:60", "3:00:60", "*-13-1", "*-*-32", "*-*-0",
    "2200-1-1", "1969-1-1", "*/5:00", "*:*/5", "0/0:00", "23/2:00", "0/24:00", "Fri..Mon", "Mon..Wed..Fri", "Mon..",
    "daily CEST", "daily europe/berlin", "*-*-*T03:00", "3:00,", "*,4:00", "05:04..03", "2099..2000-1-1", "UTC", "@",
    "*~26,1", "*~7/2,27", "*~25..27,21", "*~3,24..26", "20..30/0-1-1", "2190/10-1-1",
    "*-*~7/8", "*~13..31", "*:*:0.5..1", "*:*:0/0.0000001", "100-1-1", "1-2-3-4", "1:2:3:4", "tomorrow", "-1:00",
    "*:*:0..26/2147.483648", "*:0..5/2147483648", "2000..2005/2147483648-1-1",
    "3:00 Mon", "1-1 1-1 3:00", "daily daily", "\u0663:00", "@9999999999", "2005~1", "Mo 3:00",
]  # fmt: skip


def read_by_systemd(schedules: Collection[str]) -> set[str]:
    """Return those that systemd reads; it is asked once for all of them, and tells by name what it refuses."""
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--", *schedules],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
    )
    return {each for each in schedules if f"Failed to parse calendar specification '{each}':" not in done.stderr}


number = st.integers(0, 70).map(str) | st.sampled_from(["1970", "2026", "2199", "2200", "100", "99"])
fine = number | st.sampled_from(["59.9", "0.25", "59.9999999", "0.0000004"])


def parts(one: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Values as people and typing mistakes write them: alone, as ranges, repeated, in lists."""
    several = st.builds("{}..{}".format, one, one)
    repeated = st.builds("{}/{}".format, one | several, one)
    return st.just("*") | st.lists(one | several | repeated, min_size=1, max_size=2).map(",".join)


days = st.lists(
    st.sampled_from(["Mon", "tue", "Friday", "Mon..Fri", "Sat..Sun", "Fri..Mon", "Wed-Sat", "Fr", "Sun..Sun"]),
    min_size=1,
    max_size=3,
).map(",".join)
dates = st.builds("{}{}{}".format, parts(number), st.sampled_from("-~"), parts(number)) | st.builds(
    "{}-{}{}{}".format, parts(number), parts(number), st.sampled_from("-~"), parts(number)
)
times = st.builds("{}:{}".format, parts(number), parts(number)) | st.builds(
    "{}:{}:{}".format, parts(number), parts(number), parts(fine)
)
zones = st.sampled_from(["UTC", "utc", "Europe/Berlin", "Europe", "Nowhere/There", "CET"])
pieces = st.sampled_from(["*", "-", "~", ":", "/", ".", "..", ",", " ", "1", "30", "@", "Mon", "daily", "UTC", "+"])
written = st.lists(days | dates | times | zones | st.sampled_from(schedule.WORDS), min_size=1, max_size=4).map(" ".join)
typed = st.lists(pieces, min_size=1, max_size=8).map("".join)


def good(schedules: Collection[str]) -> set[str]:
    return {each for each in schedules if not schedule.wrong(each)}


def test_all_that_the_manual_writes_is_taken_and_read_by_systemd() -> None:
    assert good(MANUAL) == set(MANUAL)
    assert read_by_systemd(MANUAL) == set(MANUAL)


def test_years_are_repeated_by_years() -> None:
    schedules = {"2000/2-1-1", "20/2-1-1", "2190/9-1-1", "*~26,26", "*~5..25,7"}
    assert good(schedules) == schedules == read_by_systemd(schedules)


def test_systemd_reads_none_of_what_is_refused_as_no_time() -> None:
    assert read_by_systemd(NO_TIMES) == set()


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_refused_with_the_way_out(text: str) -> None:
    what, _, way_out = schedule.wrong(text).partition("; ")
    assert what
    assert "like " in way_out


@settings(max_examples=12, phases=(Phase.explicit, Phase.generate))  # to make one smaller, each try asks systemd
@given(st.lists(written | typed, min_size=150, max_size=300, unique=True))
def test_nothing_is_taken_that_systemd_does_not_read(schedules: list[str]) -> None:
    taken = good(schedules)
    assert taken <= read_by_systemd(taken)


def test_a_line_of_crontab_is_named_as_one() -> None:
    assert "crontab(5)" in schedule.wrong("15 3 * * 1-5")
    assert "crontab(5)" in schedule.wrong("*/5 * * * *")


def test_a_driver_that_knows_no_time_zone_takes_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no time zone" in schedule.wrong("daily Mars/Olympus")
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    assert not schedule.wrong("daily Mars/Olympus")
