"""docs/dependencies.md says of every package why it is there, in one line."""

import re
import tomllib

from tests.docs.pages import ROOT, read

PAGE = ROOT / "docs" / "dependencies.md"


def packages():
    """Give the names of pyproject.toml, without extras and versions."""
    found = tomllib.loads(read(ROOT / "pyproject.toml"))
    groups = [
        found["project"]["dependencies"],
        *found["project"]["optional-dependencies"].values(),
        *found["dependency-groups"].values(),
    ]
    return {re.match(r"[\w.-]+", name).group() for group in groups for name in group}


def rows():
    return re.findall(r"^\| ([a-z][^|]*) \|", read(PAGE), re.MULTILINE)


def test_every_package_has_a_reason():
    known = {
        re.sub(r"\[.*?\]| \(.*?\)", "", name).strip()
        for row in rows()
        for name in row.split(",")
    }

    assert packages() - known == set()


def test_a_reason_is_one_line_of_four_cells():
    lines = [x for x in read(PAGE).splitlines() if x.startswith("|")]

    assert {line.replace("\\|", "").count("|") for line in lines} == {5}
