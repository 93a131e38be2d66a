"""Pictures of records: well-formed, with every figure to read for who cannot see it."""

from xml.etree import ElementTree

import pytest

from ferryman import plots

FIGURES = ((100.0, 55.0), (42.5, 90.0), (0.0, None), (7.0, 300.0))
RECORD = {
    "scenarios": [
        {
            "scenario": "12 % errors & more, <10> rps",
            "runs": 500,
            "ways": {
                way: {"back_percent": percent, "median_s": median}
                for way, percent, median in zip(
                    plots.WAYS, (100.0, 42.5, 0.0, 7.0), (55.0, 90.0, None, 300.0), strict=True
                )
            },
        }
    ]
}


def test_every_bar_is_as_long_as_its_figure_and_is_told_in_words() -> None:
    picture = ElementTree.fromstring(plots.canary(RECORD))  # written a line above
    bars = [
        each for each in picture.iter("{http://www.w3.org/2000/svg}rect") if each.get("height") == str(plots.BAR - 1)
    ]
    widths = {each.get("class"): float(each.get("width", "0")) for each in bars}
    assert widths["verdict"] / widths["flagger_10"] == pytest.approx(100 / 42.5, rel=0.01)
    said = picture.get("aria-label", "")
    assert "12 % errors & more, <10> rps: this verdict 100 %" in said
    assert "Flagger's loop, 10 % 42.5 %" in said
