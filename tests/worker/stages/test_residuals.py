from dataclasses import replace

import numpy as np
import pytest

from kompress.labelling.folds import fold_of
from kompress.labelling.training_examples import is_held_out
from kompress.selection.residuals import measured_residual
from kompress.selection.student_spread import StudentSpread
from kompress.types import Label
from tests.end_to_end.farm import loop_config
from tests.worker.pulse import Pulse
from worker.checkpoints import load_student
from worker.stages.residuals import ResidualsInputs, compute


class Oracle:
    """Says of every word what it was told; remembers what it was shown."""

    def __init__(self, score):
        self.score_of_all, self.seen = score, []

    def score(self, contents):
        self.seen += contents
        return [np.full(len(text.split()), self.score_of_all) for text in contents]


class Shelf:
    """A process that has the students in memory already."""

    def __init__(self, **students):
        self.students = students

    def resident(self, key, make):
        return self.students[key.split()[1]]


def label(*means):
    return Label(np.array(means, np.float16), np.full(len(means), 0.1, np.float16))


def inputs(unseen=("x y z", "w")):
    return ResidualsInputs(
        students={0: "even", 1: "odd"},
        documents={
            0: [(10, "a b", label(0.9, 0.1)), (12, "e", label(0.5))],
            1: [(11, "c d", label(0.9, 0.9))],
        },
        unseen=list(unseen),
        taught=frozenset({10, 11, 12}),
    )


def measured(rows):
    return {document: row.measured for document, row in rows.items()}


def test_each_document_is_scored_by_who_left_it_out_and_by_who_did_not():
    even, odd = Oracle(0.4), Oracle(0.8)

    compute(Shelf(even=even, odd=odd), inputs(), Pulse())

    assert even.seen == ["a b", "e", "c d", "x y z", "w"]
    assert odd.seen == ["c d", "a b", "e", "x y z", "w"]


def test_of_three_students_the_next_fold_tells_what_a_label_teaches():
    three = ResidualsInputs(
        students={0: "first", 1: "second", 2: "third"},
        documents={
            fold: [(10 + fold, text, label(0.5))] for fold, text in enumerate("abc")
        },
        taught=frozenset({10, 11, 12}),
    )

    found = compute(
        Shelf(first=Oracle(0.1), second=Oracle(0.4), third=Oracle(0.9)), three, Pulse()
    )

    # (.4 - .1)², (.9 - .4)², and of the last fold (.1 - .9)².
    influences = [row.influence for _, row in sorted(found.items())]
    assert influences == pytest.approx([0.09, 0.25, 0.64])


def test_a_document_that_no_student_learned_from_has_no_influence():
    found = compute(
        Shelf(even=Oracle(0.4), odd=Oracle(0.8)),
        replace(inputs(), taught=frozenset({10, 11})),
        Pulse(),
    )

    assert found[12].influence is None
    assert found[12].measured is not None
    assert found[10].influence == pytest.approx(0.16)


@pytest.mark.slow  # runs a round
def test_held_out_documents_teach_nothing(farm):
    farm.add_documents(40)
    recipe = {**loop_config().base.recipe.model_dump(), "held_out_share": 0.4}
    farm.start(rounds=2, folds=2, recipe=recipe)
    farm.run(until="conclude")

    rows = farm.query(
        """SELECT d.group_id, r.influence FROM residuals r
           JOIN documents d ON d.id = r.document_id"""
    )
    held_out = {group for group, _ in rows if is_held_out(group, 0.4)}
    assert held_out
    assert {group for group, influence in rows if influence is None} == held_out


def test_one_fold_student_alone_tells_of_no_influence():
    alone = ResidualsInputs(
        students={0: "even"}, documents={0: [(10, "a", label(0.9))]}
    )

    found = compute(Shelf(even=Oracle(0.4)), alone, Pulse())

    assert found[10].influence is None
    assert found[10].measured == pytest.approx(5.0, rel=1e-3)


def test_a_residual_is_standardised_by_what_students_differ_on_unseen_texts():
    found = compute(Shelf(even=Oracle(0.4), odd=Oracle(0.8)), inputs(), Pulse())

    # On all four unseen words they say .4 and .8: variance (.2² + .2²) / 1 = .08.
    # Document 10: |.9 - .4| and |.1 - .4|, over sqrt(.1² + .08) = .3.
    assert measured(found) == pytest.approx(
        {10: (0.5 + 0.3) / 2 / 0.3, 12: 0.1 / 0.3, 11: 0.1 / 0.3}, rel=1e-3
    )


def test_without_unseen_texts_only_the_label_standardises():
    found = compute(Shelf(even=Oracle(0.4), odd=Oracle(0.8)), inputs(()), Pulse())

    assert measured(found) == pytest.approx({10: 4.0, 12: 1.0, 11: 1.0}, rel=2e-3)


def test_progress_counts_every_text_that_is_scored():
    pulse = Pulse()

    compute(Shelf(even=Oracle(0.4), odd=Oracle(0.8)), inputs(), pulse)

    # Three documents and two unseen texts, by both students.
    assert pulse.beats[-1] == (10, 10)


@pytest.mark.slow  # runs a loop
def test_a_loops_residuals_can_be_measured_again_from_what_is_stored(farm):
    farm.add_documents(40)
    farm.start(rounds=2, folds=2)
    farm.run(until="conclude")

    stored = dict(
        farm.query("SELECT document_id, measured FROM residuals WHERE measured > 0")
    )
    rows = farm.query(
        """SELECT d.id, t.content, b.mean, b.sd, d.group_id FROM labels b
           JOIN texts t ON t.id = b.text_id JOIN documents d ON d.text_id = t.id
           JOIN selections s ON s.document_id = d.id AND s.role = 'train'
           WHERE b.source = 'consensus'"""
    )
    audit = farm.query(
        """SELECT t.content FROM selections s JOIN documents d ON d.id = s.document_id
           JOIN texts t ON t.id = d.text_id WHERE s.role = 'audit'"""
    )
    folds = {
        fold: load_student(farm.runtime, digest)
        for fold, digest in farm.query(
            "SELECT fold, artifact_hash FROM students WHERE fold >= 0"
        )
    }
    assert audit
    spread = StudentSpread.fit(
        np.stack([
            np.concatenate([s.score([text])[0] for (text,) in audit])
            for _, s in sorted(folds.items())
        ])
    )  # fmt: skip
    again = {}
    for document_id, content, mean, sd, group_id in rows:
        score_N = folds[fold_of(group_id, 2)].score([content])[0]
        again[document_id] = measured_residual(
            np.frombuffer(mean, "<f2"),
            np.frombuffer(sd, "<f2"),
            score_N,
            spread.variance(score_N),
        )
    assert stored.keys() == again.keys()
    assert stored == pytest.approx(again, rel=1e-3)
    assert (spread.variance_B > 0).all()
