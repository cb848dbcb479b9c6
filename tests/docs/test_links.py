"""Every link of a page leads somewhere, and every path that it names exists."""

import re

import pytest

from tests.docs.pages import (
    CODE,
    ROOT,
    anchors,
    documents,
    inline_code,
    read,
    search,
    without_code,
)

LINK = re.compile(r"\[[^\]\n]+(?:\n[^\]\n]+)?\]\(([^()\s]+)\)")
TOP = "|".join(re.escape(name) for name in (*CODE, "docs", "requirements", ".ci"))
PATH = re.compile(rf"^(?:{TOP})/[\w./*<>{{}},-]*$")
TOP_FILE = re.compile(r"^[A-Z]\w+\.md$|^pyproject\.toml$|^Makefile$")
MODULE = re.compile(r"^(?:kompress|db|worker|api)(?:\.\w+)+$")


def broken_links(path):
    for place, match in search(LINK, path, without_code(read(path))):
        target, _, anchor = match.group(1).partition("#")
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        page = (path.parent / target).resolve() if target else path
        if not page.exists() or (anchor and anchor not in anchors(page)):
            yield place


def exists(name):
    """Tell whether a path, perhaps with `<name>`, `*` or `{a,b}`, is there."""
    return all(
        next(ROOT.glob(one.rstrip("/")), None) if "*" in one else (ROOT / one).exists()
        for one in expand(re.sub(r"<[^>]+>", "*", name))
    )


def expand(name):
    match = re.search(r"\{([^}]*)\}", name)
    if not match:
        return [name]
    return [
        full
        for choice in match.group(1).split(",")
        for full in expand(name[: match.start()] + choice + name[match.end() :])
    ]


def is_defined(name):
    """Tell whether `package.module.name` is a module, or stands in one."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:size])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if file.exists() or base.is_dir():
            wanted = parts[size : size + 1]
            content = read(file) if file.exists() else ""
            return not wanted or bool(
                re.search(
                    rf"\b(?:def|class) {wanted[0]}\b|^    ?[\"']?{wanted[0]}\b"
                    rf"|^{wanted[0]}\b|import .*\b{wanted[0]}\b",
                    content,
                    re.MULTILINE,
                )
            )
    return False


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(path):
    assert list(map(str, broken_links(path))) == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_path_and_module_that_a_page_names_exists(path):
    missing = [
        str(place)
        for place in inline_code(path)
        if (PATH.match(place.text) and not exists(place.text))
        or (TOP_FILE.match(place.text) and not exists(place.text))
        or (MODULE.match(place.text) and not is_defined(place.text))
    ]

    assert missing == []


def test_every_document_that_code_names_exists():
    pattern = re.compile(r"\bdocs/[\w/.-]*\w")
    missing = [
        str(place)
        for path in code_files()
        for place, match in search(pattern, path)
        if not resolves(match.group())
    ]

    assert missing == []


def code_files():
    return [
        path
        for folder in CODE
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".toml", ".yaml"}
        and not path.is_relative_to(ROOT / "tests" / "docs")
    ]


def resolves(name):
    """Allow `docs/adr/0002` for the one page whose name begins so."""
    return (ROOT / name).exists() or bool(list(ROOT.glob(f"{name}-*.md")))


def test_a_link_to_a_missing_page_or_heading_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](#one-two) [b](#three) [c](gone.md) [d](page.md)\n")

    found = [place.text for place in broken_links(page)]

    assert found == ["[b](#three)", "[c](gone.md)"]


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("db/views/<name>_v01.sql", True),
        ("db/{models,queries}/", True),
        ("db/{models,gone}/", False),
        ("kompress/gone.py", False),
    ],
)
def test_a_path_with_a_placeholder_must_match_some_file(name, is_there):
    assert exists(name) == is_there


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("kompress.words.split_words", True),
        ("kompress.words.split_lines", False),
        ("kompress.gone", False),
        ("worker.stages", True),
    ],
)
def test_a_dotted_name_must_be_defined(name, is_there):
    assert is_defined(name) == is_there
