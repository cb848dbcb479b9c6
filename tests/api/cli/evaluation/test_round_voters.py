"""`farm eval --baselines` pools by what the student's round has learned."""

import numpy as np
import pytest

from api.cli.evaluation.round_voters import Fits, is_free, load_fits, tell_fits
from api.cli.evaluation.study import Study
from api.intake import ingest
from db.queries import fits, loops
from kompress.aggregation.patterns import count_patterns
from kompress.aggregation.reliability.rule import Reliability
from kompress.aggregation.rules.stacking import Stacking
from kompress.config import LoopConfig, parse_config
from kompress.corpora.generators import generate
from kompress.types import DROP, KEEP
from kompress.voters import VOTERS

JUDGE = {"name": "judge", "kind": "teacher", "params": {"protocol": "pairwise"}}


@pytest.fixture
def study(sessions):
    """A round of two voters that fitted its own rule, and knew gold of stacking's."""

    def make(protocol):
        base = {
            "voters": [{"name": name, "kind": "syntax"} for name in "ab"],
            "protocol": protocol,
            "pairwise": {"judges": [JUDGE] if protocol != "words" else []},
            "aggregation": {"compare": ["majority", "stacking", "dawid_skene"]},
        }
        config = parse_config(LoopConfig, {"base": base})
        ingest(sessions, "ops", generate(4, 0))
        first = config.resolve(1)
        with sessions.begin() as session:
            loop = loops.create_loop(
                session, "mine", "ops", config.model_dump(mode="json"),
                first.model_dump(mode="json"),
            )  # fmt: skip
            (row,) = loops.rounds_of(session, loop.id)
            codes_NM = np.array([[254, 0], [0, 0], [254, 254]], dtype=np.uint8)
            truth_N = np.array([KEEP, DROP, KEEP], dtype=np.uint8)
            patterns = count_patterns(codes_NM, [1, 1], [0, 0, 0], truth_N)
            learned = {
                "reliability": Reliability().fit(patterns).data,
                "stacking": Stacking().fit(patterns).data,
            }
            fits.store_fits(session, row.id, learned)
            return Study("7", round_id=row.id, config=first), learned

    return make


@pytest.mark.parametrize(
    ("protocol", "known", "missing"),
    [
        ("words", {"reliability", "stacking"}, {"dawid_skene"}),
        # The rule of the labels has learned of the winning reference's votes alone.
        ("pairwise", {"stacking"}, {"dawid_skene", "reliability"}),
        # Every rule has learned of one more voter than stand beside the student.
        ("both", set(), {"dawid_skene", "reliability", "stacking"}),
    ],
)
def test_a_round_s_fits_are_of_its_own_voters(
    sessions, study, protocol, known, missing
):
    place, stored = study(protocol)

    with sessions() as session:
        found = load_fits(session, place)

    assert (set(found.learned), set(found.missing)) == (known, missing)
    for label, learned in found.learned.items():
        assert learned.data == stored[label]


def test_a_student_of_no_round_has_no_fits(sessions, capsys):
    with sessions() as session:
        found = load_fits(session, Study("folder"))
    tell_fits(found)

    assert found == Fits()
    assert not capsys.readouterr().err


def test_it_is_said_which_rules_pool_by_what(capsys):
    tell_fits(Fits({"reliability": None}, ("stacking", "dawid_skene")))

    said = " ".join(capsys.readouterr().err.split())
    assert "reliability: pooled as the round has fitted it" in said
    assert "dawid_skene, stacking: the round holds no fit of these voters" in said


def test_who_needs_no_model_and_no_references_is_asked_again():
    asked = {name for name, kind in VOTERS.items() if is_free(kind)}

    assert set(VOTERS) - asked == {"references", "teacher"}
    assert {"salience", "self_information", "soundness", "syntax"} <= asked
