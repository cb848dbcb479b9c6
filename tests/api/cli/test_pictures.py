"""Where a picture may go."""

from pathlib import Path

import pytest

from api.cli.pictures import check_picture
from api.errors import InvalidInput


@pytest.mark.parametrize("name", ["a.png", "a.SVG", "sub/a.svg", "sub/../a.png"])
def test_a_file_in_a_folder_that_is_there_is_fine(tmp_path, name, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_text("an older one is written over")

    check_picture(tmp_path / name, "--plot")
    monkeypatch.chdir(tmp_path)
    check_picture(Path(name), "--plot")
    check_picture(None, "--plot")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", "a.pdf; expected a name ending in .png or .svg"),
        ("a", "expected a name ending in .png or .svg"),
        ("sub", "a folder; expected a file name ending in .png or .svg"),
        ("sub.png", "sub.png, a folder; expected a file name"),
        ("a file/a.png", "a file is a file; expected a folder"),
        ("no where/b/a.png", "no where/b does not exist; expected one; make it with"),
    ],
)
def test_a_path_that_nothing_can_be_drawn_to_is_explained(tmp_path, name, expected):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub.png").mkdir()
    (tmp_path / "a file").write_text("")

    with pytest.raises(InvalidInput) as found:
        check_picture(tmp_path / name, "--out")

    assert str(found.value).startswith(f"--out is {tmp_path / name}")
    assert expected in str(found.value)


def test_the_command_that_makes_the_folder_can_be_copied(tmp_path):
    with pytest.raises(InvalidInput, match=r"mkdir -p '.*/no where/b'"):
        check_picture(tmp_path / "no where/b/a.png", "--plot")
