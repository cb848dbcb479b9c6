import pytest

from db.ids import parse_id


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("1", 1),
        (7, 7),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        (2**63, None),
        ("0", None),
        (0, None),
        (-3, None),
        ("-3", None),
        ("9" * 5_000, None),
        ("", None),
        ("²", None),
        ("٣", None),
        ("1 ", None),
        ("1_000", None),
    ],
)
def test_an_id_is_a_positive_bigint_in_ascii_digits(written, found):
    assert parse_id(written) == found
