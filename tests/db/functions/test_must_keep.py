"""The SQL functions `must_keep` and `mk_in_ref` against Python's `farm`."""

import json
import re
from importlib.resources import files
from pathlib import Path

import hypothesis.strategies as st
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from kompress.corpora.lines import MAX_TEXT_BYTES
from kompress.labels import count_must_keep
from kompress.must_keep import FARM_PATTERNS, find_must_keep
from kompress.must_keep.farm import FARM
from kompress.words import SEPARATORS

FUNCTIONS = Path(__file__).parents[3] / "db" / "functions"
FILES = ("bounded_v01.sql", "must_keep_v03.sql", "mk_in_ref_v02.sql")
NUM_TEXTS = 2_000
BATCH = 40

EXAMPLES = [word for rule in FARM for word in (*rule.catches, *rule.spares)]
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
# Whole, cut and nested: random characters never make an escape.
ESCAPES = [
    "\x1b[31m",
    "\x1b[0m",
    "\x1b[",
    "\x1b",
    "\x1b]8;;x\x07",
    "\x1b]0;",
    "\x1b\\",
    "\x1bM",
]
PIECES = st.one_of(
    st.sampled_from(EXAMPLES),
    st.sampled_from(ESCAPES),
    st.sampled_from(SEPARATORS),
    st.text(CHARACTERS),
)
TEXTS = st.one_of(st.text(CHARACTERS), st.lists(PIECES).map("".join))


@pytest.fixture(scope="module")
def connection(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        for name in FILES:
            connection.execute((FUNCTIONS / name).read_text(encoding="utf-8"))
        yield connection
        connection.rollback()


def found_by_sql(connection, texts):
    rows = connection.execute(
        "SELECT place, found.word, found.category, found.position"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS given (body, place),"
        " must_keep(given.body) AS found ORDER BY place, found.position",
        [texts],
    ).fetchall()
    found = [[] for _ in texts]
    for place, *row in rows:
        found[place - 1].append(tuple(row))
    return found


def found_by_python(text):
    return [
        (text[item.start : item.end], item.category, item.word)
        for item in find_must_keep(text)
    ]


def shares_by_sql(connection, pairs):
    rows = connection.execute(
        "SELECT mk_in_ref(given.body, given.reference)"
        " FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY"
        " AS given (body, reference, place) ORDER BY given.place",
        [[text for text, _ in pairs], [reference for _, reference in pairs]],
    ).fetchall()
    return [share for (share,) in rows]


def share_by_python(text, reference):
    total, kept = count_must_keep(text, reference)["all"]
    return kept / total if total else None


def corpus_texts():
    lines = (files("kompress.corpora") / "data/tool_outputs.jsonl").read_text("utf-8")
    return [json.loads(line)["text"] for line in lines.splitlines()]


def test_the_files_hold_the_rules_and_separators_of_python():
    sql = (FUNCTIONS / "must_keep_v03.sql").read_text(encoding="utf-8")
    joined = re.sub(r"'\n\s*'", "", sql)

    found = re.findall(r"WHEN head ~ '((?:[^']|'')*)'\s+THEN '(\w+)'", joined)

    wanted = [(regex.replace("'", "''"), name) for name, regex in FARM_PATTERNS.items()]
    assert found == wanted
    escaped = "".join(f"\\u{ord(separator):04x}" for separator in SEPARATORS)
    for name in FILES[1:]:
        assert f"E'[{escaped}]+'" in (FUNCTIONS / name).read_text(encoding="utf-8")


def test_the_largest_text_is_the_largest_that_a_reader_takes():
    sql = (FUNCTIONS / "bounded_v01.sql").read_text(encoding="utf-8")

    assert set(re.findall(r"\d{5,}", sql)) == {str(MAX_TEXT_BYTES)}


@pytest.mark.parametrize("name", FILES)
def test_no_driver_can_take_a_part_of_a_file_for_a_parameter(name):
    sql = (FUNCTIONS / name).read_text(encoding="utf-8")

    # psycopg's placeholders, SQLAlchemy's bound names, dollar quotes.
    assert not re.findall(r"%|(?<![:\w\\]):\w|\$\$", sql)


def test_a_word_comes_with_its_category_and_its_number(connection):
    rows = found_by_sql(connection, ["see\u2003line 42.\n\nnot done"])

    # see=0 line=1 42.=2 not=3 done=4
    assert rows == [[("42.", "number", 2), ("not", "directive", 3)]]


def test_survival_counts_each_word_of_the_reference_once(connection):
    pairs = [("7 7 8 a", "7 8 8"), ("nothing here", ""), ("plain words", ""), ("", "")]

    # 7 and 8 survive of 7, 7, 8; `nothing` is a directive and is lost.
    assert shares_by_sql(connection, pairs) == [2 / 3, 0.0, None, None]


@pytest.mark.slow
def test_sql_and_python_agree_on_the_corpus(connection):
    texts = corpus_texts()
    pairs = [(text, text[: len(text) // 2]) for text in texts]

    assert found_by_sql(connection, texts) == [found_by_python(text) for text in texts]
    assert shares_by_sql(connection, pairs) == [share_by_python(*p) for p in pairs]


@pytest.mark.slow
@settings(
    max_examples=NUM_TEXTS // BATCH,
    deadline=None,
    phases=[Phase.generate],  # a batch shrinks too slowly to be worth it
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(TEXTS, min_size=BATCH, max_size=BATCH))
def test_sql_and_python_agree_on_any_text_without_nul(connection, texts):
    pairs = list(zip(texts, texts[1:] + texts[:1], strict=True))
    pairs += [(text, text[::2]) for text in texts]

    assert found_by_sql(connection, texts) == [found_by_python(text) for text in texts]
    assert shares_by_sql(connection, pairs) == [share_by_python(*p) for p in pairs]
