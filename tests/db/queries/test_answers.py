from db.queries.answers import (
    AnswerKey,
    StoredAnswer,
    as_columns,
    load_answers,
    store_answers,
)
from tests.worker.worlds import add_corpus

ANSWER = StoredAnswer(b"packed\0", 7, 2)
OTHER = StoredAnswer(b"another", 1, 1)


def test_an_answer_comes_back_with_its_tokens(session):
    (text_id,), _, _ = add_corpus(session, "corpus", 1)
    key = AnswerKey(text_id, "f", 0)
    store_answers(session, [(key, ANSWER)])

    found = load_answers(session, [key, AnswerKey(text_id, "f", 1)])

    assert found == {key: ANSWER}


def test_an_answer_is_never_replaced(session):
    (text_id,), _, _ = add_corpus(session, "corpus", 1)
    key = AnswerKey(text_id, "f", 0)
    store_answers(session, [(key, ANSWER)])

    store_answers(session, [(key, OTHER)])

    assert load_answers(session, [key]) == {key: ANSWER}


def test_answers_differ_by_text_request_and_replicate(session):
    one, two = add_corpus(session, "corpus", 2)[0]
    keys = [
        AnswerKey(one, "f", 0),
        AnswerKey(one, "f", 1),
        AnswerKey(one, "g", 0),
        AnswerKey(two, "f", 0),
    ]
    answers = {key: StoredAnswer(b"K" * n, n, n) for n, key in enumerate(keys, 1)}

    store_answers(session, list(answers.items()))

    assert load_answers(session, keys) == answers
    assert load_answers(session, []) == {}


def test_columns_are_in_key_order():
    keys = [AnswerKey(2, "a", 0), AnswerKey(1, "b", 1), AnswerKey(1, "b", 0)]

    assert as_columns(keys) == {
        "text_ids": [1, 1, 2],
        "fingerprints": ["b", "b", "a"],
        "replicates": [0, 1, 0],
    }
