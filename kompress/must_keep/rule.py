"""What a must-keep rule is: a pattern with the words that show what it is for."""

from dataclasses import dataclass

# Where a word or a part of it begins and ends …
START = r"(^|[^A-Za-z0-9_])"
END = r"($|[^A-Za-z0-9_])"
# … and a name that is not in the middle of a path, a flag or a longer name.
NAME_START = r"(^|[^A-Za-z0-9_./:-]|[^0-9]:)"
NAME_END = r"([.]?$|[^A-Za-z0-9_./-]|[.][^A-Za-z0-9_/])"


@dataclass(frozen=True, slots=True)
class Rule:
    r"""One pattern of one category, searched in a single word.

    Patterns stay in the common subset of Python's `re`, Rust's `regex` and Postgres'
    regular expressions: ASCII, no look-around, no `\b \d \w \s`, no back-reference,
    boolean (so first-match against longest-match cannot matter). Groups are plain
    `(…)`, for `(?:` reads as a bound parameter in SQL tools; so does a literal per
    cent sign, which is written `\u0025`.

    Attributes:
        category: a name of `kompress.types.CATEGORIES`.
        name: what the pattern looks for.
        pattern: the regular expression.
        catches: words that must fall into this category.
        spares: words that this category must not take.
    """

    category: str
    name: str
    pattern: str
    catches: tuple[str, ...]
    spares: tuple[str, ...] = ()
