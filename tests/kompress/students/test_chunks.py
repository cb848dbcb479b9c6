import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.students.chunks import cut_chunks
from kompress.students.tokenizer import MIN_VOCAB_SIZE, WordTokenizer, train_tokenizer

# Without merges a word of n ASCII letters is n tokens.
BYTES = WordTokenizer(train_tokenizer([], MIN_VOCAB_SIZE))


def shape(chunks):
    """Give per chunk (tokens, words scored)."""
    ends = chunks.end_C.tolist()
    return [
        (end - begin, len({w for w in chunks.word_T[begin:end].tolist() if w >= 0}))
        for begin, end in zip([0, *ends], ends, strict=False)
    ]


def test_a_short_text_is_one_chunk_between_cls_and_sep():
    chunks = cut_chunks([["ab", "c"]], BYTES, 16)

    assert chunks.word_T.tolist() == [-1, 0, 0, 1, -1]
    assert (chunks.ids_T[0], chunks.ids_T[-1]) == (BYTES.cls_id, BYTES.sep_id)


def test_a_chunk_ends_after_350_words():
    chunks = cut_chunks([["a"] * 701], BYTES, 512)

    assert shape(chunks) == [(352, 350), (352, 350), (3, 1)]


def test_a_word_that_the_cut_splits_is_seen_but_scored_with_the_next_chunk():
    # Room for 6 tokens: "aaa" "bbb" would fit exactly, which the client takes for cut.
    chunks = cut_chunks([["aaa", "bb", "cc"]], BYTES, 8)

    assert chunks.word_T.tolist() == [-1, 0, 0, 0, 1, 1, -1, -1, -1, 2, 2, -1]


def test_a_chunk_that_exactly_fills_the_window_gives_its_last_word_away():
    chunks = cut_chunks([["aaa", "bbb"]], BYTES, 8)

    assert shape(chunks) == [(8, 1), (5, 1)]


def test_a_word_longer_than_the_window_is_cut_and_scored():
    chunks = cut_chunks([["a" * 50, "b"]], BYTES, 8)

    assert chunks.word_T.tolist() == [-1, 0, 0, 0, 0, 0, 0, -1, -1, 1, -1]


def test_texts_never_share_a_chunk_and_empty_ones_have_none():
    chunks = cut_chunks([["a"], [], ["b", "c"]], BYTES, 16)

    assert chunks.text_C.tolist() == [0, 2]
    assert chunks.num_words == (1, 0, 2)


def test_no_texts_give_no_chunks():
    assert cut_chunks([], BYTES, 16).end_C.shape == (0,)


@given(
    st.lists(st.lists(st.integers(1, 30), max_size=40), max_size=4),
    st.integers(3, 40),
)
def test_every_word_is_scored_in_exactly_one_chunk(lengths, max_tokens):
    texts = [["x" * length for length in text] for text in lengths]

    chunks = cut_chunks(texts, BYTES, max_tokens)

    assert chunks.num_tokens_C.max(initial=0) <= max_tokens
    chunk_T = np.repeat(np.arange(len(chunks.end_C)), chunks.num_tokens_C)
    pairs = {
        (word, chunk)
        for word, chunk in zip(chunks.word_T.tolist(), chunk_T.tolist(), strict=True)
        if word >= 0
    }
    assert sorted(word for word, _ in pairs) == list(range(sum(map(len, texts))))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
    st.integers(3, 40),
    st.integers(1, 200),
)
def test_parts_are_whole_chunks_in_order(lengths, max_tokens, part_tokens):
    chunks = cut_chunks([["x" * length for length in lengths]], BYTES, max_tokens)

    parts = list(chunks.parts(part_tokens))

    for name in ("ids_T", "word_T", "num_tokens_C", "text_C"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(chunks, name))
    assert all(len(part.end_C) == 1 or len(part.ids_T) <= part_tokens for part in parts)
