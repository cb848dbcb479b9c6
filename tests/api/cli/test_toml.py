import tomllib

from hypothesis import given
from hypothesis import strategies as st

from api.cli.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False)
)
TABLES = st.recursive(
    st.dictionaries(TEXT, PLAIN, max_size=3),
    lambda inner: st.dictionaries(
        TEXT, st.one_of(PLAIN, st.lists(PLAIN, max_size=2), inner,
                        st.lists(inner, min_size=1, max_size=2)), max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@given(TABLES)
def test_what_is_written_reads_back_the_same(data):
    assert tomllib.loads(to_toml(data)) == data


def test_values_come_before_tables_and_nothing_is_left_out():
    data = {"b": {"c": [{"d": 1.5}]}, "a": "x", "e": None, "f.g": ["h"]}

    assert to_toml(data) == ('a = "x"\n"f.g" = ["h"]\n\n[b]\n\n[[b.c]]\nd = 1.5\n')
