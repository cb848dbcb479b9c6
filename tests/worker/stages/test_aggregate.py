import numpy as np

from kompress.types import STRATA, Label
from worker.stages.aggregate import correct, stat_rows


def test_must_keep_words_are_forced_with_certainty():
    label = Label(
        np.array([0.25, 0.125, 0.75], dtype=np.float16),
        np.array([0.5, 0.25, 0.125], dtype=np.float16),
    )

    corrected = correct(label, np.array([0, 2, 3], dtype=np.uint8))

    assert corrected.mean_N.tolist() == [0.25, 1, 1]
    assert corrected.sd_N.tolist() == [0.5, 0, 0]
    assert corrected.mean_N.dtype == corrected.sd_N.dtype == np.float16
    assert label.mean_N.tolist() == [0.25, 0.125, 0.75]


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
