"""Which restore point leads back, over thousands of generated lives of an environment and its schema."""

from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.release import ledger, points
from hypothesis import given
from hypothesis import strategies as st

Line = dict[str, Any]


def deployed(name: str, before: str = "", after: str = "", *, dump: bool = True, status: str = "live") -> list[Line]:
    """Return the lines of a deploy; one with schemas had a migration."""
    end: Line = {"event": "deploy", "release": name, "run": name, "status": status, "at": f"at {name}"}
    if after:
        end.update(schema_before=before, schema_after=after)
    if after and dump:
        end.update(restore_point=f"/dumps/{name}.dump", restore_point_sha256=f"sum of {name}")
    return [{"event": "deploy", "release": name, "run": name, "status": "started"}, end]


def back(name: str, schema: str) -> Line:
    return {"event": "rollback", "release": name, "run": f"back to {name}", "status": "live", "schema_after": schema}


def point(lines: list[Line], to: str, **more: Any) -> points.Point:
    target = ledger.story(lines).releases[to]
    return points.point(lines, target, **{"database": "notes", "there": True, **more})


def test_the_dump_before_the_first_migration_since_leads_back() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2"), *deployed("c", "2", "3")]
    found = point(lines, "a")
    assert found == points.Point("/dumps/b.dump", "sum of b", "at b", "b")
    assert point(lines, "b").path == "/dumps/c.dump"


def test_a_release_without_a_migration_between_is_passed_over() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b"), *deployed("c", "1", "2"), *deployed("d")]
    assert point(lines, "a").path == point(lines, "b").path == "/dumps/c.dump"


def test_a_migration_that_failed_half_way_is_one_that_led_away() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2", status="failed"), *deployed("c", "2", "3")]
    assert point(lines, "a").path == "/dumps/b.dump"


def test_a_migration_that_was_killed_is_one_that_may_have_led_away() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2", status="returned"), *deployed("c", "1", "3")]
    del lines[3]["schema_after"]
    assert point(lines, "a").path == "/dumps/b.dump"


def test_a_migration_that_changed_nothing_takes_no_data_with_it() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "1"), *deployed("c", "1", "2")]
    assert point(lines, "a").path == "/dumps/c.dump"


def test_where_nobody_tells_revisions_the_first_dump_is_taken() -> None:
    lines = [*deployed("a"), *deployed("b", "1", "1"), *deployed("c", "1", "1")]
    for line in lines:
        line.update({key: "" for key in ("schema_before", "schema_after") if key in line})
    assert point(lines, "a").path == "/dumps/b.dump"


def test_after_a_rollback_over_the_schema_what_counts_is_what_came_since() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2"), back("a", "2"), *deployed("c", "2", "3")]
    assert point(lines, "a").path == "/dumps/c.dump"


def test_after_a_rollback_with_the_database_its_schema_is_that_of_then() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2"), back("a", "1"), *deployed("c", "1", "4")]
    assert ledger.story(lines[:-2]).schema == "1"
    assert point(lines, "a").path == "/dumps/c.dump"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([*deployed("a", "", "1"), *deployed("b")], "no release after a had a migration"),
        (
            [*deployed("a", "", "1"), *deployed("b", "1", "2", dump=False), *deployed("c", "2", "3")],
            "no restore point was taken before the migration of b",
        ),
        ([*deployed("a", "", "1"), *deployed("b", "x", "y")], "the restore point before b is at schema x, not at 1"),
    ],
)
def test_where_none_leads_back_that_is_said_with_a_way_out(lines: list[Line], reason: str) -> None:
    with pytest.raises(ledger.Refused, match=reason) as refused:
        point(lines, "a")
    assert "--accept-schema" in refused.value.hint


@pytest.mark.parametrize(
    ("more", "reason"), [({"database": ""}, "names no database"), ({"there": False}, "on several hosts")]
)
def test_a_database_that_is_not_here_is_refused(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(ledger.Refused, match=reason):
        point([*deployed("a", "", "1"), *deployed("b", "1", "2")], "a", **more)


def test_a_dump_that_is_gone_or_altered_cannot_be_used_and_one_without_a_digest_can() -> None:
    found = points.Point("/dumps/b.dump", "sum", "then", "b")
    assert "is gone" in points.may_be(found, sha256="", there=False)
    assert "was altered" in points.may_be(found, sha256="other", there=True)
    assert not points.may_be(found, sha256="sum", there=True)
    assert not points.may_be(points.Point("/dumps/b.dump", "", "then", "b"), sha256="", there=True)


@dataclass
class Life:
    """An environment in which each deploy may migrate; what the database held is its history of schemas."""

    lines: list[Line]
    dumps: dict[str, list[str]]
    left: dict[str, list[str]]
    schemas: list[str]

    def deploy(self, name: str, *, migrates: bool, fails: bool) -> None:
        before = self.schemas[-1]
        after = f"s{len(self.lines)}" if migrates else before
        if migrates:
            self.dumps[f"/dumps/{name}.dump"] = list(self.schemas)
            self.schemas = [*self.schemas, after]
        self.lines += deployed(
            name, before if migrates else "", after if migrates else "", status="failed" if fails else "live"
        )
        if not fails:
            self.left[name] = list(self.schemas)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12), st.data())
def test_what_is_in_the_dump_is_the_schema_that_the_release_ran_at(steps: list[tuple[bool, bool]], data: Any) -> None:
    life = Life([], {}, {}, ["s"])
    life.deploy("r0", migrates=True, fails=False)
    for number, (migrates, fails) in enumerate(steps, 1):
        life.deploy(f"r{number}", migrates=migrates, fails=fails)
    target = data.draw(st.sampled_from(sorted(life.left)))
    if life.left[target] == life.schemas:
        with pytest.raises(ledger.Refused, match="had a migration"):
            point(life.lines, target)
    else:
        assert life.dumps[point(life.lines, target).path] == life.left[target]


EMPTY: dict[str, Any] = {"table": "t", "now": 3, "then": 3, "added": 0, "changed": 0, "deleted": 0, "going": {},
         "returning": [], "uncompared": []}  # fmt: skip


def test_a_table_is_told_where_anything_differs_or_where_nobody_knows() -> None:
    assert not points.is_lost(EMPTY)
    assert not points.is_lost({**EMPTY, "going": {"extra": 0}, "returning": ["old"], "changed": None})
    for differs in ({"added": 1}, {"changed": 1}, {"deleted": 1}, {"then": None}, {"now": None},
                    {"going": {"extra": 1}}, {"uncompared": ["x"]}):  # fmt: skip
        assert points.is_lost({**EMPTY, **differs}), differs


def test_a_rollback_that_did_not_find_its_release_unwell_says_nothing_against_it() -> None:
    lines = [*deployed("a", "", "1"), *deployed("b", "1", "2")]
    failed = {"event": "rollback", "release": "a", "run": "x", "status": "failed"}
    assert ledger.story([*lines, failed]).releases["a"].withdrawn
    assert not ledger.story([*lines, {**failed, "tried": False}]).releases["a"].withdrawn


def test_what_an_earlier_rollback_left_aside_is_not_taken_for_what_served_before() -> None:
    def exchanged(**there: int) -> bool:
        return points.exchanged(there, name="notes", aside="left", serving=2)

    assert not exchanged(notes=2, point=3, left=1)
    assert not exchanged(notes=2, left=1), "undone already, and what was restored is gone"
    assert exchanged(notes=3, left=2, left_older=1)
    with pytest.raises(ledger.Refused, match=r"oid 2.*gave it another name"):
        exchanged(notes=3, left=1)


@pytest.mark.parametrize(
    ("entry", "app", "db", "one"),
    [
        (["a"], ["a"], ["a"], True), (["a"], ["a"], [], False), (["a"], ["a"], ["b"], False),
        (["b"], ["a"], ["a"], False), (["a", "b"], ["a", "b"], ["a", "b"], False),
    ],
)  # fmt: skip
def test_only_where_all_of_an_application_is_on_one_host_can_that_undo_it_alone(
    entry: list[str], app: list[str], db: list[str], one: bool
) -> None:
    assert points.on_one_host({"entry": entry, "app": app, "db": db}) is one
