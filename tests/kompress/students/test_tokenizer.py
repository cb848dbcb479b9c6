import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from kompress.corpora.readers import load_sample
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.tokenizer import (
    MIN_VOCAB_SIZE,
    SPECIAL_TOKENS,
    WordTokenizer,
    train_tokenizer,
)


@pytest.fixture(scope="module")
def texts():
    return [document.text for document in load_sample()]


@pytest.fixture(scope="module")
def corpus_json(texts):
    return train_tokenizer(texts, 6_000)


def test_equal_texts_give_equal_bytes_whatever_their_order(texts, corpus_json):
    assert train_tokenizer(texts, 6_000) == corpus_json
    assert train_tokenizer(reversed(texts), 6_000) == corpus_json


def test_another_text_gives_other_bytes(texts, corpus_json):
    assert train_tokenizer(texts[1:], 6_000) != corpus_json


def test_words_get_the_ids_that_the_client_would_give_them(texts, corpus_json):
    # The client's tokenizer class, called the client's way.
    tokenizer = WordTokenizer(corpus_json)
    reference = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, pad_token="[PAD]"
    )
    text = texts[3] + " [SEP] naïve 日本語 \U0001f600 x" + "-" * 90

    tokens = tokenizer.encode(text.split())
    expected = reference(text.split(), is_split_into_words=True)

    assert [tokenizer.cls_id, *tokens.ids_T, tokenizer.sep_id] == expected["input_ids"]
    word_T = np.repeat(np.arange(len(text.split())), tokens.num_tokens_N)
    assert expected.word_ids() == [None, *word_T, None]


def test_the_special_tokens_come_first_and_the_size_is_kept(corpus_json):
    tokenizer = WordTokenizer(corpus_json)

    assert tokenizer.vocab_size <= 6_000
    assert (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id) == (0, 2, 3)
    assert len(SPECIAL_TOKENS) == 5


def test_no_word_is_without_tokens_and_none_is_unknown():
    tokenizer = WordTokenizer(train_tokenizer([], MIN_VOCAB_SIZE))

    tokens = tokenizer.encode(["é", "\x00", "a"])

    assert tokens.num_tokens_N.tolist() == [2, 1, 1]  # é is two bytes in UTF-8
    assert 1 not in tokens.ids_T


def test_half_a_surrogate_pair_is_a_question_mark(tokenizer):
    half, mark = tokenizer.encode(["a\ud800b"]), tokenizer.encode(["a?b"])

    assert half.ids_T.tolist() == mark.ids_T.tolist()


def test_no_words_give_no_tokens(tokenizer):
    assert tokenizer.encode([]).ids_T.shape == (0,)


@pytest.mark.parametrize("size", [MIN_VOCAB_SIZE - 1, 65_537])
def test_a_size_without_room_is_refused(size):
    with pytest.raises(InvalidConfig, match=f"vocab_size is {size}; expected 261"):
        train_tokenizer([], size)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}', r"no \[CLS\]"),
    ],
)
def test_what_is_no_tokenizer_of_ours_is_refused(content, message):
    with pytest.raises(InvalidCheckpoint, match=message):
        WordTokenizer(content)


def test_a_token_of_a_bytewise_vocabulary_stands_for_so_many_bytes_at_most():
    # One word that is merged whole, two bytes a letter.
    tokenizer = WordTokenizer(train_tokenizer(["éééé " * 50], 300))

    assert tokenizer.encode(["éééé"]).num_tokens_N.tolist() == [1]
    assert tokenizer.max_token_bytes == 8
