"""What code and pages refer to: sections, decisions, log entries, papers."""

import re

import pytest

from tests.docs.pages import GAP, ROOT, read, search, sources

DESIGN = ROOT / "docs" / "design.md"
LOG = ROOT / "docs" / "log.md"
REFERENCES = ROOT / "docs" / "references.md"
NAMED = r'(?:"[^"]+"|`[^`]+`)'
SECTION = re.compile(
    rf"[Dd]esign(?:\.md)?,?{GAP}§(\d+)((?:,?(?:{GAP}and)?{GAP}§\d+)*)"
    rf"(?:,?{GAP}({NAMED}(?:{GAP}and{GAP}{NAMED})*))?"
)
INVARIANT = re.compile(rf"\binvariants?{GAP}(\d+)\b")
ADR = re.compile(
    rf"\bADRs?{GAP}(\d{{4}})((?:(?:,|{GAP}and){GAP}\d{{4}})*)|adr/(\d{{4}})"
)
ENTRIES = re.compile(r"^## (\d{4}-\d\d-\d\d) ", re.MULTILINE)
ENTRY = re.compile(rf"\blog(?:\.md)?,?{GAP}(\d{{4}}-\d\d-\d\d)")
PAPER = re.compile(
    r"\b([A-Z][\w-]+)(?:\s(?:&|and)\s+[A-Z][\w-]+|\set\sal\.)?"
    r",?\s+\(?(1[89]\d\d|20\d\d)\)?"
)
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")
EQUATIONS = re.compile(rf'references\.md,?{GAP}"([^"]+)"')
# Pages outside of the repository: whoever reads the code here cannot open them.
ELSEWHERE = re.compile(
    r"\bfacts/\w+"
    r"|\bfacts (?:of|on) (?:headroom|the (?:deployed )?client|residuals|a vote)"
    r"|\bissue (?:\d+|\"[^\"]+\")|(?<![\w.])/wor[k]/\w+|\bshared/\w+\.md"
)


def sections():
    """Give the text of each numbered section of the design."""
    parts = re.split(r"^## (\d+)\. ", read(DESIGN), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def is_in(name, section):
    """Tell whether a section has this heading, or names this, if in backticks."""
    if name.startswith("`"):
        return bool(re.search(rf"\b{re.escape(name.strip('`'))}\b", section))
    title = re.escape(" ".join(name.strip('"').split()))
    return bool(re.search(rf"^### {title}$", section, re.MULTILINE))


def unresolved_sections(path, known):
    spans = []
    for place, match in search(SECTION, path):
        spans.append(match.span())
        numbers = [match.group(1), *re.findall(r"\d+", match.group(2))]
        names = re.findall(NAMED, match.group(3) or "")
        if not (
            set(numbers) <= set(known)
            and all(is_in(name, known[numbers[-1]]) for name in names)
        ):
            yield place
    for place, match in search(re.compile("§.{0,20}"), path):
        if not any(start <= match.start() < end for start, end in spans):
            yield place


def test_every_section_of_the_design_that_is_referred_to_exists():
    known = sections()
    unresolved = [
        str(found)
        for path in sources()
        if path != DESIGN
        for found in unresolved_sections(path, known)
    ]

    assert unresolved == []


def test_the_design_refers_to_its_own_sections_only():
    known = sections()
    own = {match.group(1) for _, match in search(re.compile(r"§(\d+)"), DESIGN)}

    assert own <= set(known)


def test_every_invariant_that_is_referred_to_exists():
    known = set(re.findall(r"^(\d+)\. ", sections()["3"], re.MULTILINE))
    unresolved = [
        str(place)
        for path in sources()
        for place, match in search(INVARIANT, path)
        if match.group(1) not in known
    ]

    assert unresolved == []


def test_every_decision_that_is_referred_to_exists():
    known = {path.name[:4] for path in (ROOT / "docs" / "adr").glob("*.md")}
    unresolved = [
        str(place)
        for path in sources()
        for place, match in search(ADR, path)
        if not set(re.findall(r"\d{4}", match.group())) <= known
    ]

    assert unresolved == []


def test_a_decision_has_a_number_of_its_own_and_its_file_says_so():
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert [path.name[:4] for path in pages] == [
        f"{number:04}" for number in range(1, len(pages) + 1)
    ]
    assert [read(path)[2:6] for path in pages] == [path.name[:4] for path in pages]


def test_every_log_entry_that_is_referred_to_exists():
    known = set(ENTRIES.findall(read(LOG)))
    unresolved = [
        str(place)
        for path in sources()
        for place, match in search(ENTRY, path)
        if match.group(1) not in known
    ]

    assert unresolved == []


def test_the_log_has_its_newest_entry_first():
    dates = ENTRIES.findall(read(LOG))

    assert dates == sorted(dates, reverse=True)


def test_nothing_refers_to_pages_outside_of_the_repository():
    found = [str(place) for path in sources() for place, _ in search(ELSEWHERE, path)]

    assert found == []


def test_every_heading_of_the_references_that_is_referred_to_exists():
    known = set(re.findall(r"^## (.+)$", read(REFERENCES), re.MULTILINE))
    unresolved = [
        str(place)
        for path in sources()
        for place, match in search(EQUATIONS, path)
        if " ".join(match.group(1).split()) not in known
    ]

    assert unresolved == []


@pytest.mark.parametrize("package", ["api", "db", "kompress", "worker", "benchmarks"])
def test_every_paper_that_code_cites_is_on_the_page_of_references(package):
    page = read(REFERENCES)
    known = {(match.group(1), match.group(2)) for match in PAPER.finditer(page)}
    missing = sorted(
        {
            f"{path.relative_to(ROOT)}: {match.group()}"
            for path in (ROOT / package).rglob("*.py")
            for place, match in search(PAPER, path)
            if (match.group(1), match.group(2)) not in known
        }
        | {
            str(place)
            for path in (ROOT / package).rglob("*.py")
            for place, match in search(ARXIV, path)
            if match.group() not in page
        }
    )

    assert missing == []


@pytest.mark.parametrize(
    "content",
    [
        "see design §99",
        'see design §1 "No such heading"',
        "see design §4, `no_such_table`",
        "(Leskovec, §3.4)",
    ],
)
def test_a_reference_that_leads_nowhere_is_found(content, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(content)

    assert len(list(unresolved_sections(page, sections()))) == 1


def test_a_reference_may_go_on_in_the_next_line(tmp_path):
    page = tmp_path / "module.py"
    page.write_text('    # see design §1\n    # "Exactly", and design §3, §4\n')

    assert list(unresolved_sections(page, sections())) == []
