"""What people read at the end of a command."""

from ferryman import telling

LIVE = {
    "environment": "prod", "app": "shop", "status": "live", "release": "r2", "previous": "r1", "duration_s": 22.3,
    "url": "https://shop.test", "ca": "",
}  # fmt: skip


def test_the_way_back_names_environment_and_application() -> None:
    assert "`./invoke rollback --env prod --app shop` goes back" in telling.summary(LIVE)
    assert "goes back" not in telling.summary({**LIVE, "previous": ""})


def test_waiting_for_uploads_is_told_where_somebody_notices_it() -> None:
    assert "17 s of it left uploads the time to end" in telling.summary({**LIVE, "drained_s": 17.2})
    assert "uploads" not in telling.summary({**LIVE, "drained_s": 0.2})
