import pytest

from api.errors import InvalidRequest
from api.names import check_name


@pytest.mark.parametrize("name", ["a", "demo-2", "0.1", "A_b", "x" * 100])
def test_a_plain_name_is_given_back(name):
    assert check_name("loop", name) == name


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "x" * 101, "a\0", "é\n"])
def test_a_name_that_no_url_takes_is_refused(name):
    with pytest.raises(InvalidRequest, match="found the loop name"):
        check_name("loop", name)


def test_a_name_that_reads_as_an_id_is_refused():
    with pytest.raises(InvalidRequest, match="would read as an id"):
        check_name("loop", "42")
