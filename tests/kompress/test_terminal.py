import pytest

from kompress.terminal import as_shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain\ntext\n", "plain\ntext\n"),
        ("a\x1b[31mred\x1b[0mb\n", "aredb\n"),
        ("first\n10%\r20%\r100%\nlast", "first\n100%\nlast"),
        # A bar that ends with a carriage return is still to be seen.
        ("10%\r20%\r\nlast", "20%\nlast"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        # Nothing but carriage returns ends the lines of this text.
        ("one\rtwo\rthree\r", "one\ntwo\nthree\n"),
        ("blank\r\r\n", "blank\n"),
        # Erase to the end of the line, and the new frame.
        ("step 1\r\x1b[Kstep 2\n", "step 2\n"),
    ],
)
def test_the_last_frame_is_seen_without_colours(text, shown):
    assert as_shown(text) == shown
