r"""What a terminal shows in the end of a text that was written to it.

Escapes colour and move; a carriage return begins its line anew, so that of a progress
bar of a hundred frames one is left to see.
"""

import re

from kompress.must_keep.farm import ESCAPES

_ESCAPES = re.compile(ESCAPES)


def as_shown(text: str) -> str:
    r"""Drop escapes, and the frames that a later one was written over.

    Args:
        text: any text.

    Returns:
        The text with the last frame of every line. Where no "\n" ends a line, "\r"
        does, as on old Macs, and becomes one.

    Source: ECMA-48, sections 5.4 and 8.3.15, without moves of the cursor: ours.
    """
    plain = _ESCAPES.sub("", text)
    if "\r" not in plain:
        return plain
    if "\n" not in plain:
        return plain.replace("\r", "\n")
    return "\n".join(_last_frame(line) for line in plain.split("\n"))


def _last_frame(line: str) -> str:
    frames = (frame for frame in reversed(line.split("\r")) if frame.strip())
    return next(frames, "")
