import pytest

from db.queries import voters
from tests.worker.inprocess import InProcessFarm, two_waves
from tests.worker.worlds import change, make_runtime


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "oracle"}, "oracle"),
        ({"params": {"sensitivity": {"all": 7}}}, "less than or equal to 1"),
        ({"params": {"senstivity": 1}}, "senstivity"),
    ],
)
def test_a_wrong_voter_parks_the_selection_with_what_is_wrong(farm, changes, message):
    farm.add_documents(20)
    voters = two_waves()
    voters[0] |= changes
    farm.start(voters=voters)

    farm.run()

    ((stage, num_errors, error),) = farm.parked()
    assert (stage, num_errors) == ("select", 1)
    assert "InvalidConfig" in error
    assert message in error


def test_a_corpus_without_train_documents_parks_the_selection(farm):
    farm.add_documents(20)
    change(farm.sessions, "UPDATE documents SET split = 'audit'")
    farm.start()

    farm.run()

    ((stage, _, error),) = farm.parked()
    assert stage == "select"
    assert "the corpus has no train documents among its first 20; add more" in error


def test_a_config_that_was_altered_parks_the_selection(farm):
    farm.add_documents(20)
    farm.start()
    change(farm.sessions, """UPDATE rounds SET config = config || '{"folds": "two"}'""")

    farm.run()

    ((stage, _, error),) = farm.parked()
    assert stage == "select"
    assert "folds: Input should be a valid integer" in error


HOSTED = """
[hosted]
url = "https://api.example.com/v1"
models = ["m"]
external = true
"""


def teacher(**params):
    given = {"engine": "openai", "endpoint": "hosted", "model": "m"} | params
    return [{"name": "t", "kind": "teacher", "params": given}]


@pytest.fixture
def hosted_farm(sessions, tmp_path):
    (tmp_path / "endpoints.toml").write_text(HOSTED)
    farm = InProcessFarm(sessions, tmp_path)
    farm.runtime = make_runtime(
        sessions, tmp_path, endpoints=tmp_path / "endpoints.toml"
    )
    farm.add_documents(12)
    return farm


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "the corpus is not marked external_ok"),
        ({"endpoint": "other"}, "no endpoint is called 'other'"),
    ],
)
def test_a_teacher_that_may_not_be_asked_parks_the_selection(
    hosted_farm, params, message
):
    hosted_farm.start(voters=teacher(**params))

    hosted_farm.run()

    ((stage, _, error),) = hosted_farm.parked()
    assert stage == "select"
    assert message in error


def test_what_an_endpoint_can_do_is_declared_with_the_voter(hosted_farm):
    change(hosted_farm.sessions, "UPDATE corpora SET external_ok = true")
    hosted_farm.start(voters=teacher())

    hosted_farm.run(until="teach")

    ((parts,),) = hosted_farm.query("SELECT parts FROM voters")
    assert (parts["external"], parts["capabilities"]["logprobs"]) == (True, False)


def test_a_loop_does_not_begin_with_a_voter_in_quarantine(farm):
    farm.add_documents(12)
    farm.start("one")
    farm.run(until="teach")
    with farm.sessions.begin() as session:
        voters.quarantine(session, "alpha", on=True)
    farm.start("two")

    farm.run(until="teach")

    ((stage, _, error),) = farm.parked()
    assert stage == "select"
    assert "in quarantine: alpha" in error


@pytest.mark.slow  # runs a round
def test_documents_are_drawn_by_residual_times_influence(farm):
    farm.add_documents(40)
    selection = {"num_documents": 4, "random_slice": 0.95}
    farm.start(rounds=2, folds=2, by_round=({}, {"selection": selection}))
    farm.run(before_round=2)
    ((first, size),) = farm.query("SELECT min(document_id), count(*) FROM residuals")
    # Students are as wrong about all of them, but one teaches four times as much.
    change(
        farm.sessions,
        """UPDATE residuals SET measured = NULL, predicted = 2, influence = NULL,
               predicted_influence = CASE
                   WHEN document_id = (SELECT min(document_id) FROM residuals) THEN .04
                   ELSE .01 END""",
    )

    farm.run(until="teach")

    found = dict(
        farm.query(
            """SELECT document_id = :first, min(probability) FROM selections
               WHERE round_id = 2 AND role = 'train' GROUP BY 1""",
            first=first,
        )
    )
    # Scaled to mean 1, and q = .8 r + .2; the slice takes 95 % of what is left.
    mean = (4 + size - 1) / size
    q_first, q_other = 0.8 * 4 / mean + 0.2, 0.8 / mean + 0.2
    assert found[False] == pytest.approx(1 - (1 - 4 * q_other / size) * 0.05)
    assert found[True] == pytest.approx(1 - (1 - 4 * q_first / size) * 0.05)
