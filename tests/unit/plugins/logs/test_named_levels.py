"""The level of a line of text, as far as its beginning names one."""

import pytest
from ansible_collections.ferryman.ops.plugins.module_utils.logs import entries


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[2026-11-26 10:00:00 +0000] [4711] [ERROR] Exception in worker process", "error"),
        ("[2026-11-26 10:00:00 +0000] [4711] [INFO] Booting worker", "info"),
        ("[2026-11-26 10:00:00,123] ERROR in app: Exception on / [GET]", "error"),
        ("[2026-11-26 10:00:00,123: WARNING/MainProcess] late", "warning"),
        ("ERROR", "error"),
        ("ERROR:    Application startup failed. Exiting.", "error"),
        ("CRITICAL:shop.stock:none left", "critical"),
        ("2026-11-26 10:00:00,123 WARNING shop: few left", "warning"),
        ("2026-11-26T10:00:00Z DEBUG asked", "debug"),
        ("Traceback (most recent call last):", "error"),
        ("ERRORS are counted", "info"),
        ("no ERROR here", "info"),
        ("Information", "info"),
        ("", "info"),
    ],
)
def test_a_line_has_the_level_that_it_begins_with(text: str, level: str) -> None:
    assert entries.of_application(text, 0, "info")["level"] == level


def test_what_systemd_knows_stands_where_the_line_names_nothing() -> None:
    assert entries.of_application("Failed with result 'exit-code'.", 0, "warning")["level"] == "warning"
