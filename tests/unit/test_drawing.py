"""The pictures of a terminal: what was overwritten is gone, and what stands there keeps its colours."""

from tests.support import drawing


def test_the_last_that_stands_there_is_kept_with_its_colours() -> None:
    (line, more) = drawing.screen("one\r\ntwo\r\n\033[2A\033[2K\033[32mdone\033[0m \033[2mfaint\033[0m\r\n")
    assert (line.plain, more.plain) == ("done faint", "two")
    styles = {line.plain[span.start : span.end]: str(span.style) for span in line.spans}
    assert (styles["done"], styles["faint"]) == ("green", "dim")


def test_a_picture_is_read_without_asking_anybody() -> None:
    drawn = drawing.picture(drawing.screen("\033[31mred\033[0m and plain"), "here")
    assert "red" in drawn
    assert "font-face" not in drawn
    assert "url(http" not in drawn
