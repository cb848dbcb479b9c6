import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import VoteFailed
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Answer, Capabilities, Sample
from kompress.words import join_kept, word_list

ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)
TEXT = "ok fine\nerror: disk full on disk sda\nok fine"  # 10 words


def make(**params):
    return make_protocol(ProtocolParams(protocol="rewrite", **params), ALL)


def say(*texts, reason="stop"):
    return Answer(tuple(Sample(text, reason) for text in texts), 1, 1)


def read(*texts, **params):
    return make(**params).read(TEXT, [say(*texts)])


def test_several_samples_share_one_prompt():
    (request,) = make(samples=5).requests(TEXT, seed=2)

    assert (request.num_samples, request.temperature, request.seed) == (5, 0.7, 2)
    assert request.user.startswith(f"=====\n{TEXT}\n=====\n")
    assert request.choices == ()
    assert "%" not in request.system
    assert (
        make(budget=0.35)
        .requests(TEXT)[0]
        .system.endswith(" Keep about 35 % of the words.")
    )


def test_a_words_vote_is_how_many_samples_kept_it():
    # The second `disk` alone tells where the third sample's `disk sda` lies.
    vote = read("error: disk full", "error: disk full on disk", "disk sda", samples=3)

    # Counts 0 0 2 2 2 1 2 1 0 0 of 3; floor(255 · 2/3) = 170, floor(255 / 3) = 85
    assert vote.codes_N.tolist() == [0, 0, 170, 170, 170, 85, 170, 85, 0, 0]
    assert vote.num_samples == 3


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n",
        "Извините, я не могу помочь с этим",
        "Here is the text: error: disk full",  # 3 of 7 are the text's
        "full disk error:",  # its words, in another order
        TEXT + "\n" + TEXT,
    ],
)
def test_what_does_more_than_delete_is_no_vote(answer):
    with pytest.raises(VoteFailed, match="none of 1 answers on words 1 to 10"):
        read(answer)
    assert make().references(TEXT, [say(answer)]) == []


def test_a_sample_that_was_cut_is_left_out():
    answer = Answer((Sample("error:"), Sample("error: disk", "length")), 1, 1)

    vote = make(samples=2).read(TEXT, [answer])

    assert vote.codes_N.tolist() == [0, 0, 254, 0, 0, 0, 0, 0, 0, 0]
    assert vote.num_samples == 1


def test_bad_samples_lower_the_count_and_not_the_votes():
    vote = read("error: disk full", "", "no such words here", samples=3)

    assert vote.codes_N.tolist() == [0, 0, 254, 254, 254, 0, 0, 0, 0, 0]
    assert vote.num_samples == 1


def test_a_strange_word_in_ten_is_forgiven_and_votes_for_nothing():
    words = word_list(TEXT)
    forgiven = " ".join([*words[:5], "strange", *words[6:]])  # 1 of 10
    refused = " ".join([*words[:5], "strange", "words", *words[7:]])  # 2 of 10

    assert read(forgiven).codes_N.tolist() == [254] * 5 + [0] + [254] * 4
    with pytest.raises(VoteFailed):
        read(refused)
    assert read(refused, max_unfound=0.2).codes_N.tolist()[4:8] == [254, 0, 0, 254]


def test_a_moved_word_is_forgiven_as_a_strange_one_is():
    # `sda` moved to the front: of 10 words 9 are in order.
    vote = read("sda ok fine error: disk full on disk ok fine")

    assert vote.codes_N.tolist() == [254] * 7 + [0] + [254] * 2


def test_only_the_line_itself_says_that_nothing_is_kept():
    assert read("=====").codes_N.tolist() == [0] * 10
    assert read("=====\n=====").codes_N.tolist() == [0] * 10
    with pytest.raises(VoteFailed):
        read("====")


def test_lines_around_the_answer_are_not_words_of_it():
    vote = read("=====\nerror:\n=====", max_unfound=0.0)

    assert vote.codes_N.tolist() == [0, 0, 254, 0, 0, 0, 0, 0, 0, 0]


def test_each_chunk_needs_a_sample_and_the_fewest_are_what_the_vote_pools():
    protocol = make(chunk_words=8, samples=2)
    kept = say("ok fine", "fine")

    vote = protocol.read(TEXT, [say("error:", ""), kept])

    # The last two words are the second chunk.
    assert vote.codes_N.tolist() == [0, 0, 254, 0, 0, 0, 0, 0, 127, 254]
    assert vote.num_samples == 1
    # Only the first sample can be used in both.
    (mask,) = protocol.references(TEXT, [say("error:", ""), kept])
    assert mask.tolist() == [False, False, True] + [False] * 5 + [True] * 2
    with pytest.raises(VoteFailed, match="words 1 to 8"):
        protocol.read(TEXT, [say("", ""), kept])
    with pytest.raises(VoteFailed, match="found 1 answers to 2 chunks"):
        protocol.read(TEXT, [kept])


WORD = st.sampled_from([*word_list(TEXT), "strange"])


@given(st.lists(st.booleans(), min_size=10, max_size=10))
def test_whatever_only_deletes_is_read_as_its_own_words(keep):
    reference = join_kept(TEXT, keep)
    if not reference:
        return

    (mask,) = make(max_unfound=0.0).references(TEXT, [say(reference)])

    # Equal words may be told apart otherwise; the words kept are the same.
    assert join_kept(TEXT, mask).split() == reference.split()


@given(st.lists(WORD, min_size=1, max_size=14), st.sampled_from([0.0, 0.1, 0.3]))
def test_no_more_words_without_a_place_than_allowed(words, max_unfound):
    masks = make(max_unfound=max_unfound).references(TEXT, [say(" ".join(words))])

    for mask in masks:
        kept = np.array(word_list(TEXT))[mask].tolist()
        left = iter(words)
        assert all(word in left for word in kept)
        assert len(words) - len(kept) <= max_unfound * len(words)
