import numpy as np
import pytest

from db.queries.views import label_quality, round_summary
from kompress.types import RULE_SETS, STRATA
from tests.kompress.selection.hajek import hajek_ratio
from tests.worker.inprocess import InProcessFarm
from tests.worker.worlds import EVERYTHING, change

pytestmark = pytest.mark.slow
CAUTIOUS = {"num_documents": 12}
ACCEPT_ALL = {"min_ratio": 1.0, "min_chars": 0}


def freeze(farm):
    """What people see of round 1."""
    rows = {
        name: [row for row in found if row[0] == 1]
        for name, found in farm.results().items()
    }
    with farm.sessions() as session:
        rows["quality"] = label_quality(session, "loop", 1)
        rows["summary"] = round_summary(session, "loop", 1)
    return rows


@pytest.fixture(scope="module")
def story(make_sessions_of_own, tmp_path_factory):
    """A loop of two rounds and an upload between them; its tests only read."""
    with make_sessions_of_own() as sessions:
        farm = InProcessFarm(sessions, tmp_path_factory.mktemp("story"))
        yield tell(farm)


def tell(farm):
    farm.add_documents(24)
    farm.start(
        rounds=2,
        failure_rate=0.15,
        folds=2,
        by_round=[
            {"label_source": "corrected", "selection": CAUTIOUS},
            {"label_source": "self_label", "self_label": ACCEPT_ALL},
        ],
    )
    farm.run(before_round=2)
    farm.first = freeze(farm)
    farm.add_documents(30, seed=1)
    farm.run()
    return farm


def strata_of(farm):
    """Codes by (text id, rule set)."""
    return {
        (text_id, rule_set): np.frombuffer(codes, dtype=np.uint8)
        for text_id, rule_set, codes in farm.query(
            "SELECT text_id, rule_set, codes FROM text_strata"
        )
    }


def kinds_of(farm, number):
    """Kind by text id of what a round labelled, audit included."""
    return dict(
        farm.query(
            """SELECT d.text_id, d.kind FROM selections s
               JOIN documents d ON d.id = s.document_id
               JOIN rounds r ON r.id = s.round_id
               WHERE r.number = :number""",
            number=number,
        )
    )


def masks_of(farm, number):
    """(source, text id, keep by word, counted by word) of all votes and labels."""
    found = []
    for voter, text_id, blob in farm.query(
        """SELECT v.name, w.text_id, w.codes FROM round_votes rv
           JOIN rounds r ON r.id = rv.round_id JOIN votes w ON w.id = rv.vote_id
           JOIN voters v ON v.id = w.voter_id WHERE r.number = :number""",
        number=number,
    ):
        codes = list(blob)
        # P(keep) = (code + 1/2) / 255 is at least 1/2 from code 127 on.
        keep = [127 <= code < 255 for code in codes]
        found.append((voter, text_id, keep, [code != 255 for code in codes]))
    for source, text_id, blob in farm.query(
        """SELECT b.source, b.text_id, b.mean FROM labels b
           JOIN rounds r ON r.id = b.round_id WHERE r.number = :number""",
        number=number,
    ):
        keep = [mean >= 0.5 for mean in np.frombuffer(blob, dtype="<f2").tolist()]
        found.append((source, text_id, keep, [True] * len(keep)))
    return found


def recount(farm, number):
    """Count label_counts again, word by word, from what is stored."""
    strata, kinds = strata_of(farm), kinds_of(farm, number)
    counts = {}
    for source, text_id, keep, counted in masks_of(farm, number):
        if text_id not in kinds or not any(counted):
            continue
        for rule_set in RULE_SETS:
            codes = strata[text_id, rule_set].tolist()
            words = [w for w in zip(codes, keep, counted, strict=True) if w[2]]
            for kind in (kinds[text_id], "all"):
                for category in ("all", *STRATA):
                    own = [w for w in words if category in ("all", STRATA[w[0]])]
                    if not own:
                        continue
                    key = (number, source, kind, category, rule_set)
                    row = counts.setdefault(key, [0] * 5)
                    row[0] += 1
                    row[1] += len(own)
                    row[2] += sum(kept for _, kept, _ in own)
                    row[3] += sum(code > 0 for code, _, _ in own)
                    row[4] += sum(code > 0 and kept for code, kept, _ in own)
    return sorted((*key, *row) for key, row in counts.items())


def test_the_loop_ends_with_a_reason_and_a_student(story):
    ((status, reason, promoted),) = story.query(
        "SELECT status, stop_reason, promoted_student_id FROM loops"
    )
    mains = story.query("SELECT id FROM students WHERE fold = -1 ORDER BY id")

    assert (status, reason) == ("stopped", "limit")
    assert (promoted,) in mains
    assert len(mains) == 2
    ((report,),) = story.query(
        "SELECT decisions -> 'promotion' FROM rounds WHERE number = 2"
    )
    assert report["promoted"] == promoted
    assert report["test"]["outcome"]
    rounds = story.query("SELECT status, stop_reason FROM rounds ORDER BY number")
    assert rounds == [("finished", ""), ("finished", reason)]


def test_every_job_ended_and_was_useful_once(story):
    assert story.query("SELECT id FROM jobs WHERE status <> 'done'") == []
    assert story.query("SELECT count(*) FROM costs WHERE useful = 0") == [(0,)]


@pytest.mark.parametrize("number", [1, 2])
def test_label_counts_equal_a_recount_from_votes_and_labels(story, number):
    stored = [row for row in story.results("counts")["counts"] if row[0] == number]

    assert sorted(stored) == recount(story, number)
    sources = {row[1] for row in stored}
    own = {1: {"silver", "corrected"}, 2: {"self_label", "self_label_raw"}}
    assert sources == {"alpha", "beta", "gamma", "consensus"} | own[number]


def test_the_figures_of_round_1_do_not_move_after_round_2(story):
    after = freeze(story)

    assert len(after["counts"]) > 100
    assert after == story.first


def test_an_upload_in_mid_loop_changes_nothing(story):
    ((seq, newest),) = story.query(
        """SELECT l.corpus_seq, c.last_seq FROM loops l
           JOIN corpora c ON c.id = l.corpus_id"""
    )
    assert newest > seq == 24

    found = story.query(
        """SELECT count(*) FROM selections s JOIN documents d ON d.id = s.document_id
           WHERE d.seq > 24"""
    )
    populations = story.query(
        "SELECT DISTINCT decisions -> 'selection' ->> 'num_population' FROM rounds"
    )
    assert found == [(0,)]
    ((num_train,),) = story.query(
        "SELECT count(*) FROM documents WHERE split = 'train' AND seq <= 24"
    )
    assert populations == [(str(num_train),)]


def test_students_are_scored_on_the_held_out_documents_of_the_pinned_corpus(story):
    ((held_out,),) = story.query(
        "SELECT count(*) FROM documents WHERE split = 'held_out' AND seq <= 24"
    )

    scored = story.query(
        """SELECT s.round_id, count(DISTINCT s.text_id) FROM scores s
           WHERE s.text_id IS NOT NULL GROUP BY 1 ORDER BY 1"""
    )

    assert scored == [(1, held_out), (2, held_out)]


def test_what_a_voter_cannot_do_is_a_failure_and_never_a_vote(story):
    failed = story.query(
        "SELECT text_id, voter_id, error FROM failures WHERE round_id = 1 ORDER BY 1, 2"
    )
    voted = set(story.query("SELECT text_id, voter_id FROM votes"))

    assert failed
    assert all("fails on a share of 0.15" in error for _, _, error in failed)
    assert voted.isdisjoint({row[:2] for row in failed})
    # Three voters on every selected text: a vote or a failure each.
    ((selected,),) = story.query("SELECT count(*) FROM selections WHERE round_id = 1")
    ((used,),) = story.query("SELECT count(*) FROM round_votes WHERE round_id = 1")
    assert used + len(failed) == 3 * selected


def test_a_text_that_failed_is_not_tried_again(story):
    first = set(
        story.query("SELECT text_id, voter_id FROM failures WHERE round_id = 1")
    )
    second = story.query(
        "SELECT text_id, voter_id, error FROM failures WHERE round_id = 2"
    )

    repeated = [row for row in second if row[:2] in first]
    assert repeated
    prefix = "not tried again; in an earlier round: simulated voter"
    assert all(error.startswith(prefix) for _, _, error in repeated)


def test_the_corpus_estimate_is_hajeks_over_the_selection(story):
    strata = strata_of(story)
    rows = story.query(
        """SELECT d.text_id, s.probability, b.mean FROM selections s
           JOIN documents d ON d.id = s.document_id
           JOIN labels b ON b.text_id = d.text_id AND b.round_id = s.round_id
               AND b.source = 'consensus'
           WHERE s.round_id = 1 AND s.role = 'train' ORDER BY s.document_id"""
    )
    caught = [strata[text_id, "farm"] > 0 for text_id, _, _ in rows]
    keep = [np.frombuffer(mean, dtype="<f2") >= 0.5 for _, _, mean in rows]
    value, se = hajek_ratio(
        np.array([(c & k).sum() for c, k in zip(caught, keep, strict=True)]),
        np.array([c.sum() for c in caught]),
        np.array([probability for _, probability, _ in rows]),
    )

    (summary,) = story.first["summary"]

    assert se > 0
    assert summary["mk_in_ref_corpus"] == pytest.approx(value)
    assert summary["mk_in_ref_corpus_se"] == pytest.approx(se)


def test_probabilities_are_those_of_the_budget_and_the_slice(story):
    found = story.query(
        """SELECT DISTINCT probability FROM selections
           WHERE round_id = 1 AND role = 'train'"""
    )
    ((population,),) = story.query(
        "SELECT count(*) FROM documents WHERE split = 'train' AND seq <= 24"
    )

    # No residual is known: all are alike, 12 of them, and a slice of 0.1.
    own = 12 / population
    assert found == [(pytest.approx(1 - (1 - own) * 0.9),)]
    audit = story.query(
        "SELECT DISTINCT probability FROM selections WHERE role='audit'"
    )
    assert audit == [(1.0,)]


def test_residuals_are_measured_where_a_label_is_and_predicted_elsewhere(story):
    rows = story.query("SELECT document_id, measured, predicted FROM residuals")
    labelled = story.query(
        """SELECT count(*) FROM labels WHERE round_id = 1 AND source = 'corrected'
           AND text_id IN (SELECT d.text_id FROM selections s JOIN documents d
               ON d.id = s.document_id WHERE s.round_id = 1 AND s.role = 'train')"""
    )

    assert all(predicted is not None for _, _, predicted in rows)
    assert [(sum(measured is not None for _, measured, _ in rows),)] == labelled
    decided = story.query(
        """SELECT (decisions -> 'selection' ->> 'residuals_known')::int,
                  (decisions -> 'selection' ->> 'influences_known')::int FROM rounds
           ORDER BY number"""
    )
    assert decided == [(0, 0), (len(rows), len(rows))]


def test_self_labels_keep_every_word_of_the_override(story):
    strata = strata_of(story)
    rows = story.query(
        "SELECT text_id, mean FROM labels WHERE source = 'self_label' AND round_id = 2"
    )

    assert rows
    for text_id, mean in rows:
        keep = np.frombuffer(mean, dtype="<f2") >= 0.5
        assert keep[strata[text_id, "headroom-0.42"] > 0].all()


@pytest.fixture
def wider(farm):
    """Run one loop up to its students; give all that came out."""

    def run(shard_documents):
        change(farm.sessions, f"TRUNCATE {EVERYTHING} RESTART IDENTITY CASCADE")
        farm.add_documents(20)
        farm.start(failure_rate=0.1, shard_documents=shard_documents)
        farm.run(until="train")
        return farm.results()

    return run


def test_the_size_of_a_shard_changes_nothing(wider):
    many, one = wider(5), wider(20)

    assert many["votes"]
    assert many["labels"]
    assert many == one
