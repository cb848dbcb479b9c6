"""Pictures: where one may go, how it looks, and equal bytes for equal figures."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.errors import InvalidInput

SUFFIXES = (".png", ".svg")
# Okabe & Ito 2008: told apart with any colour vision; a marker each besides.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vP*"
DPI = 150


def check_picture(out: Path | None, option: str) -> None:
    """Refuse a path that no picture can be written to.

    Args:
        out: what the user gave; None draws nothing.
        option: its name, such as `--plot`.

    Raises:
        InvalidInput: the ending is neither .png nor .svg, the path is a folder, or its
            folder is not there.
    """
    if out is None:
        return
    given = f"{option} is {out}"
    if out.is_dir():
        raise InvalidInput(
            f"{given}, a folder; expected a file name ending in .png or .svg; name one "
            f"in it, such as {out / 'picture.png'}"
        )
    if out.suffix.lower() not in SUFFIXES:
        raise InvalidInput(
            f"{given}; expected a name ending in .png or .svg; the ending chooses the "
            "format"
        )
    if out.parent.is_dir():
        return
    if out.parent.exists():
        raise InvalidInput(
            f"{given}, but {out.parent} is a file; expected a folder; name another path"
        )
    raise InvalidInput(
        f"{given}, but the folder {out.parent} does not exist; expected one; make it "
        f"with `mkdir -p {shlex.quote(str(out.parent))}`, or name another path"
    )


@contextmanager
def open_figure(out: Path, size: tuple[float, float], option: str) -> Iterator[Any]:
    """Open a matplotlib figure, and save it as PNG or SVG at the end of the block.

    Equal figures are byte for byte the same file, and their text stays text.

    Args:
        out: where it goes; the ending chooses the format.
        size: width and height in inches.
        option: what asked for the picture, such as `--plot`.

    Raises:
        InvalidInput: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise InvalidInput(
            f"matplotlib is not installed; expected it for {option}; install it with "
            f"`pip install matplotlib`, or leave {option} out"
        ) from error
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "kompress", "svg.fonttype": "none"}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        for axes in figure.axes:
            axes.grid(color="0.92")
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        metadata = {"Date": None} if out.suffix.lower() == ".svg" else None
        figure.savefig(out, dpi=DPI, metadata=metadata)


def style_of(number: int) -> tuple[str, str]:
    """Give a colour and a marker; their pairs repeat only after 49."""
    turn = number // len(COLOURS)
    return COLOURS[number % len(COLOURS)], MARKERS[(number + turn) % len(MARKERS)]
