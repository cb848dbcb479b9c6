import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.templates import mask_lines, number_templates


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("", ""),
        ("took 1,204.5 ms in 3 steps", "took <n> ms in <n> steps"),
        ("worker12 is up", "worker<n> is up"),
        ("2026-04-29T23:40:24.3502635Z done", "<time> done"),
        ("[12:03:59,120] INFO start\r", "[<time>] INFO start"),
        ("at 0x7ffee4 in 9f2c1a7 of", "at <n> in <n> of"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id <n>"),
        ('key "a b" is not "c"', "key <text> is not <text>"),
        ("don't open 'x y'; it isn't", "don't open <text>; it isn't"),
        ("see src/main/App.java:41", "see <path>:<n>"),
        ("get https://a.b/c?d=1 now", "get <path> now"),
        (r"in C:\Users\me\x.txt", "in <path>"),
        ("\x1b[1;31mERROR\x1b[m  no", "ERROR no"),
        ("\t  indented\t twice", "indented twice"),
    ],
)
def test_what_varies_is_masked(line, template):
    assert mask_lines([line]).to_list() == [template]


def test_equal_templates_get_one_number_in_order_of_appearance():
    distinct, place_L = number_templates(pl.Series(["b", "a", "b", "c", "a"]))

    assert distinct == ["b", "a", "c"]
    assert place_L.tolist() == [0, 1, 0, 2, 1]


def test_a_text_without_lines_has_no_templates():
    distinct, place_L = number_templates(mask_lines([]))

    assert distinct == []
    assert place_L.tolist() == []


def test_half_of_a_surrogate_pair_is_no_obstacle():
    assert mask_lines(["a \ud800 1"]).to_list() == ["a \ufffd <n>"]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_a_line_s_template_does_not_depend_on_other_lines(lines):
    alone = [mask_lines([line]).to_list()[0] for line in lines]

    assert mask_lines(lines).to_list() == alone
