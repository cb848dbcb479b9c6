"""What rules have learned comes back as it was."""

import struct

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from db.models import VoterStat
from db.queries import fits, quality
from kompress.types import VoterStatRow


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False).filter(bool), max_size=20)
)
def test_floats_come_back_with_the_same_bits(session, world, values):
    fits.store_fits(session, world.round_id, {"rule": {"values": values}})

    found = fits.load_fits(session, world.round_id)["rule"]["values"]

    # A float without a fraction may come back as a whole number of any size.
    assert struct.pack(f"{len(found)}d", *found) == struct.pack(
        f"{len(values)}d", *values
    )


def test_a_repetition_replaces_a_fit_and_leaves_the_others(session, world):
    fits.store_fits(session, world.round_id, {"b": {"x": 1}, "a": {"x": [0.1, None]}})
    fits.store_fits(session, world.round_id, {"b": {"y": "two"}})

    found = fits.load_fits(session, world.round_id)

    assert found == {"a": {"x": [0.1, None]}, "b": {"y": "two"}}
    assert list(found) == ["a", "b"]
    assert fits.load_fits(session, world.round_id + 1) == {}


def test_what_is_no_number_is_refused(session, world):
    with pytest.raises(psycopg.DataError), session.begin_nested():
        fits.store_fits(session, world.round_id, {"rule": {"x": float("nan")}})

    assert fits.load_fits(session, world.round_id) == {}


def test_fitted_rates_are_written_beside_every_truth_of_a_stratum(session, world):
    quality.add_voter_stats(
        session,
        world.round_id,
        [
            VoterStatRow(voter, "all", truth, 1, 1, 1, 1, 0, 0, [0] * 256, [0] * 256)
            for voter in ("a", "b")
            for truth in ("gold", "must_keep")
        ],
    )

    fits.set_fitted_rates(
        session, world.round_id, {("a", "all"): (0.75, 0.5), ("a", "plain"): (1, 1)}
    )
    fits.set_fitted_rates(session, world.round_id, {})

    rows = session.scalars(
        select(VoterStat).order_by(VoterStat.voter, VoterStat.truth)
    ).all()
    assert [(r.voter, r.fitted_sensitivity, r.fitted_specificity) for r in rows] == [
        ("a", 0.75, 0.5),
        ("a", 0.75, 0.5),
        ("b", None, None),
        ("b", None, None),
    ]
