import numpy as np
import pytest

from kompress.errors import InvalidText
from kompress.students.tokenizer import MIN_VOCAB_SIZE, WordTokenizer, train_tokenizer
from kompress.training import TrainText
from kompress.training.texts import prepare

# Without merges a word of n ASCII letters is n tokens.
BYTES = WordTokenizer(train_tokenizer([], MIN_VOCAB_SIZE))


def test_a_words_label_is_on_all_its_tokens_and_specials_have_none(recipe):
    data = prepare([TrainText("ab c", np.array([0.375, 1.0]))], recipe, BYTES)

    # Two heads at t score t·(1 + t)/2: 0.375 at t = 1/2.
    assert data.target_T.tolist() == [0, 0.5, 0.5, 1, 0]
    assert data.weight_T.tolist() == [0, 1, 1, 1, 0]


def test_a_single_head_learns_the_target_itself(recipe):
    student = recipe.student.model_copy(update={"variant": "token_head"})
    text = TrainText("ab c", np.array([0.375, 1.0]))

    data = prepare([text], recipe.model_copy(update={"student": student}), BYTES)

    assert data.target_T.tolist() == [0, 0.375, 0.375, 1, 0]


def test_kept_must_keep_words_weigh_more_and_documents_are_clipped(recipe):
    # /a/b is must-keep: 0.5 certain x 3 where kept, x 1 where dropped; 40 clips to 10.
    text = TrainText("/a/b /a/b hm", np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 1]))
    heavy = TrainText(text.text, text.target_N, text.weight_N, document_weight=40.0)

    light, clipped = (prepare([case], recipe, BYTES) for case in (text, heavy))

    expected = [0, 1.5, 1.5, 1.5, 1.5, 0.5, 0.5, 0.5, 0.5, 1, 1, 0]
    assert light.weight_T.tolist() == expected
    assert clipped.weight_T.tolist() == [10 * weight for weight in expected]


def test_the_digest_sees_labels_and_weights(recipe):
    base = TrainText("a b", np.array([1.0, 0.0]))
    cases = [
        base,
        TrainText("a b", np.array([1.0, 0.5])),
        TrainText("a b", np.array([1.0, 0.0]), np.array([1.0, 0.5])),
        TrainText("a c", np.array([1.0, 0.0])),
    ]

    digests = {prepare([case], recipe, BYTES).digest for case in cases}

    assert len(digests) == 4
    assert prepare([base], recipe, BYTES).digest in digests


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TrainText("a b", np.array([1.0])), r"2 words, \(1,\) targets"),
        (TrainText("a", np.array([1.5])), r"targets outside \[0, 1\]"),
        (TrainText("a", np.array([np.nan])), r"targets outside \[0, 1\]"),
        (TrainText("a", np.array([1.0]), np.array([-1.0])), "negative or not finite"),
        (TrainText("a", np.array([1.0]), np.array([np.inf])), "negative or not finite"),
        (TrainText("a", np.array([1.0]), np.array([1.0, 1.0])), r"\(2,\) weights"),
        (TrainText("a", np.array([1.0]), document_weight=0.0), "document weight 0.0"),
        (TrainText(" ", np.array([])), "no word at all"),
        (TrainText("a", np.array([1.0]), quality=np.nan), "has quality nan"),
        (TrainText("a", np.array([1.0]), quality=1.0, quality_se=0.0), "error 0.0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(recipe, text, message):
    with pytest.raises(InvalidText, match=message):
        prepare([text], recipe, BYTES)


def test_no_texts_are_refused(recipe):
    with pytest.raises(InvalidText, match="0 texts hold no word"):
        prepare([], recipe, BYTES)


def test_every_chunk_has_its_documents_quality(recipe):
    # 120 one-letter words need 122 of 128 tokens; 130 make two chunks.
    texts = [
        TrainText("a " * 120, np.ones(120)),
        TrainText("a " * 130, np.ones(130), quality=3.0, quality_se=0.5),
    ]

    data = prepare(texts, recipe, BYTES)

    assert data.quality_C.tolist() == [0, 3, 3]
    assert data.precision_C.tolist() == [0, 4, 4]
