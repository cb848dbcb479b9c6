import numpy as np

from kompress.labelling.voter_stats import calibration_errors, stat_rows
from kompress.types import STRATA


def test_counts_are_laid_out_by_stratum_and_for_all():
    cells_S4 = np.zeros((len(STRATA), 4), dtype=np.int64)
    cells_S4[0] = [1, 2, 3, 4]
    cells_S4[2] = [10, 0, 0, 1]
    codes_S2C = np.zeros((len(STRATA), 2, 256), dtype=np.int64)
    codes_S2C[0, 0, 7] = 5
    codes_S2C[2, 1, 9] = 6

    rows = {
        row.stratum: row for row in stat_rows("a", "leave_one_out", cells_S4, codes_S2C)
    }

    # Strata without a word have no row.
    assert set(rows) == {"all", "plain", "number"}
    whole = rows["all"]
    assert (whole.num_keep_kept, whole.num_keep_dropped) == (11, 2)
    assert (whole.num_drop_kept, whole.num_drop_dropped) == (3, 5)
    # Agreed: kept and to keep, dropped and to drop, 11 + 5 of 21.
    assert (whole.num_agreed, whole.num_compared) == (16, 21)
    assert (whole.drop_codes[7], whole.keep_codes[9]) == (5, 6)
    assert (rows["plain"].num_agreed, rows["number"].num_agreed) == (5, 11)


def test_agreement_is_with_the_other_voters_only():
    cells_S4 = np.ones((len(STRATA), 4), dtype=np.int64)
    codes_S2C = np.zeros((len(STRATA), 2, 256), dtype=np.int64)

    rows = stat_rows("a", "gold", cells_S4, codes_S2C)

    assert {(row.num_agreed, row.num_compared) for row in rows} == {(0, 0)}


def test_no_voter_is_calibrated_against_must_keep():
    keep, drop = [0] * 256, [0] * 256
    keep[254] = drop[254] = 10

    found = calibration_errors(
        {("a", "all", "gold"): (keep, drop), ("a", "all", "must_keep"): (keep, drop)}
    )

    # It says (254 + 1/2) / 255 and is right half of the time.
    assert list(found) == [("a", "all", "gold")]
    assert abs(found["a", "all", "gold"] - (254.5 / 255 - 0.5)) < 1e-12
