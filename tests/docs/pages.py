"""What the tests of the documents share: the files, their headings, their commands."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OWN = Path(__file__).parent
CODE = (
    "api",
    "benchmarks",
    "db",
    "docker",
    "kompress",
    "migrations",
    "tests",
    "worker",
)
SUFFIXES = {".py", ".sql", ".toml", ".yaml", ".md", ""}
# Between two words of one sentence a comment may go on in the next line.
GAP = r"(?:\s|#|--)+"


@dataclass(frozen=True)
class Place:
    """A piece of text and where it stands."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


def documents() -> list[Path]:
    """Give every page of Markdown, the repository's own only."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def sources() -> list[Path]:
    """Give every file in which a reference may stand, but for these tests."""
    found = [ROOT / "Makefile", ROOT / "pyproject.toml", *documents()]
    for folder in (*CODE, ".ci", "requirements"):
        found += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix in SUFFIXES and OWN not in path.parents
        ]
    return found


@functools.cache
def read(path: Path) -> str:
    """Read a file as UTF-8, once."""
    return path.read_text(encoding="utf-8")


def search(
    pattern: re.Pattern[str], path: Path, content: str | None = None
) -> Iterator[tuple[Place, re.Match[str]]]:
    """Find a pattern in a file (or in what is left of it), by line."""
    content = read(path) if content is None else content
    for match in pattern.finditer(content):
        line = content.count("\n", 0, match.start()) + 1
        yield Place(path, line, " ".join(match.group().split())), match


def without_code(content: str) -> str:
    """Blank out fenced blocks, keeping the line numbers."""
    return re.sub(
        r"^```.*?^```$",
        lambda block: "\n" * block.group().count("\n"),
        content,
        flags=re.MULTILINE | re.DOTALL,
    )


def anchors(path: Path) -> set[str]:
    """Name each heading as a link would, by the rule of GitHub and GitLab."""
    found: set[str] = set()
    for title in re.findall(r"^#{1,6} (.+)$", without_code(read(path)), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        name, again = slug, 0
        while name in found:
            again += 1
            name = f"{slug}-{again}"
        found.add(name)
    return found


def inline_code(path: Path) -> Iterator[Place]:
    """Give what stands between backticks in a page, blocks left out."""
    content = without_code(read(path))
    for match in re.finditer(r"`([^`\n]+(?:\n[^`\n]+)?)`", content):
        line = content.count("\n", 0, match.start()) + 1
        yield Place(path, line, " ".join(match.group(1).split()))


def shell_lines(path: Path) -> Iterator[Place]:
    """Give each command of a page's shell blocks, without its comment."""
    content = read(path)
    for block in re.finditer(
        r"^```(?:sh|shell|bash|console)\n(.*?)^```$", content, re.MULTILINE | re.DOTALL
    ):
        first = content.count("\n", 0, block.start(1)) + 1
        for number, line in enumerate(block.group(1).splitlines()):
            command = re.sub(r"(^|\s)#.*$", "", line).strip()
            if command:
                yield Place(path, first + number, command)
