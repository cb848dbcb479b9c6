import numpy as np

from kompress.labelling.label_sources import correct, label_silver
from kompress.labelling.panel import make_panel
from kompress.types import Label, VoteRow


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


def test_silver_takes_of_each_text_the_first_voter_that_spoke():
    def vote(voter, *codes):
        return VoteRow(1, voter, 0, 1, np.array(codes, dtype=np.uint8))

    votes = {
        1: [vote("a", 255, 255), vote("b", 255, 254)],
        2: [vote("a", 0, 254), vote("b", 254, 254)],
        3: [vote("a", 255), vote("b", 255)],
    }
    strata = {t: np.zeros(rows[0].codes_N.size, np.uint8) for t, rows in votes.items()}

    found = label_silver(make_panel(("a", "b"), votes, strata))

    # Of text 1 a says nothing; b leaves its first word open: a tie keeps. Nobody says
    # anything of text 3.
    assert {text_id: own.keep_N.tolist() for text_id, own in found.items()} == {
        1: [True, True],
        2: [False, True],
    }
