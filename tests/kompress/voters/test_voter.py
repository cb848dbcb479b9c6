"""Parameters are checked in one place, for every kind."""

import pytest

from kompress.errors import InvalidConfig
from kompress.voters.voter import VoterParams, describe, parse_params


class TwoParams(VoterParams):
    share: float = 0.5
    words: int = 3


def test_parameters_get_their_defaults_and_are_described_whole():
    params = parse_params(TwoParams, "two", {"share": 0.25})

    assert describe(params, kind="two") == {
        "params": {"share": 0.25, "words": 3},
        "kind": "two",
    }


def test_a_mistake_names_the_kind_the_value_and_the_parameters():
    with pytest.raises(InvalidConfig) as caught:
        parse_params(TwoParams, "two", {"share": "half"})

    assert "voter kind 'two'" in str(caught.value)
    assert "found 'half'" in str(caught.value)
    assert "share, words" in str(caught.value)


def test_nan_is_no_parameter():
    with pytest.raises(InvalidConfig, match="finite"):
        parse_params(TwoParams, "two", {"share": float("nan")})
