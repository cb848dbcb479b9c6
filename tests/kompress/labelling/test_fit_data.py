import itertools
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.aggregation.patterns import count_patterns, merge_patterns
from kompress.config import RoundConfig, parse_config
from kompress.labelling.fit_data import (
    EligibleVotes,
    FitData,
    PatternSums,
    codes_to_fit,
    count_joint_votes,
    dependent_voters,
    draw_texts,
    join_fit_data,
    leave_out,
    make_fit_data,
    take_voters,
)
from kompress.labelling.panel import make_panel
from kompress.types import DROP, KEEP, UNKNOWN, VoteRow


def vote(voter, *codes, num_samples=1):
    return VoteRow(1, voter, 0, num_samples, np.array(codes, dtype=np.uint8))


def rows_of(patterns):
    """Patterns as (stratum, truth, codes, count)."""
    return [
        (int(s), int(t), tuple(codes.tolist()), int(n))
        for s, t, codes, n in zip(
            patterns.stratum_P,
            patterns.truth_P,
            patterns.code_PM,
            patterns.count_P,
            strict=True,
        )
    ]


def merged_of(parts, num_voters):
    sums = PatternSums(num_voters)
    for part in parts:
        sums.add(part)
    return sums.merged()


def data_of(names, votes, truth, counts=None):
    """Plain words; text n is of group gn."""
    sizes = {t: rows[0].codes_N.size for t, rows in votes.items()}
    panel = make_panel(
        names, votes, {t: np.zeros(size, dtype=np.uint8) for t, size in sizes.items()}
    )
    truth_W = np.array(truth, dtype=np.uint8)
    counts_W = np.ones(truth_W.size, dtype=np.bool_) if counts is None else counts
    return FitData(panel, truth_W, np.array(counts_W), {t: f"g{t}" for t in votes})


def test_a_word_counts_for_its_gold_or_because_its_text_counts_without():
    votes = {n: [vote("a", 254, 0, 127)] for n in (1, 2, 3)}
    strata = {n: np.zeros(3, dtype=np.uint8) for n in votes}
    gold = np.array([KEEP, DROP, UNKNOWN], dtype=np.uint8)
    groups = dict.fromkeys((1, 2, 3, 4), "g")

    found = make_fit_data(
        "a", EligibleVotes(votes, strata, {1: gold, 2: gold}, frozenset({2, 3}), groups)
    )

    nothing = [UNKNOWN] * 3
    assert found.truth_W.tolist() == [*gold.tolist(), *gold.tolist(), *nothing]
    assert found.counts_W.tolist() == [True, True, False, *[True] * 6]


def test_words_that_may_not_be_learned_from_are_not_counted():
    votes = {1: [vote("a", 254, 0, 254), vote("b", 0, 255, 255, num_samples=5)]}
    found = data_of("ab", votes, [KEEP, UNKNOWN, UNKNOWN], [True, False, True])

    patterns = count_joint_votes(found, frozenset())

    assert rows_of(patterns) == [
        (0, KEEP, (254, 0), 1),
        (0, UNKNOWN, (254, 255), 1),
    ]
    # Of the counted words a voted on two with a sample each, b on one with five.
    assert patterns.samples_M.tolist() == [2, 5]


def test_a_voter_that_may_repeat_a_student_counts_on_gold_only():
    votes = {1: [vote("a", 254, 254), vote("pairwise", 254, 254)]}
    found = data_of(("a", "pairwise"), votes, [KEEP, UNKNOWN])
    alone = data_of(("a",), votes, [KEEP, UNKNOWN])

    patterns = count_joint_votes(found, frozenset({"pairwise"}))

    assert rows_of(patterns) == [
        (0, KEEP, (254, 254), 1),
        (0, UNKNOWN, (254, 255), 1),
    ]
    # What depends on a student adds nothing to what is known of the other.
    assert rows_of(take_voters(patterns, [0])) == rows_of(
        count_joint_votes(alone, frozenset())
    )


def test_a_dependent_voter_is_heard_on_gold_only_and_others_everywhere():
    votes = {1: [vote("a", 254, 9), vote("dependent", 254, 254)]}
    found = data_of(("a", "dependent"), votes, [KEEP, UNKNOWN])

    all_W = np.ones(2, dtype=bool)
    heard = codes_to_fit(found, frozenset({"dependent"}), all_W)

    assert heard.tolist() == [[254, 254], [9, 255]]
    assert codes_to_fit(found, frozenset(), all_W).tolist() == [[254, 254], [9, 254]]


def test_who_wins_who_corrects_and_who_reads_a_student_depends_on_students():
    config = parse_config(
        RoundConfig,
        {
            "voters": [
                {"name": "plain", "kind": "salience"},
                {"name": "fixer", "kind": "teacher", "params": {"protocol": "correct"}},
                {
                    "name": "reader",
                    "kind": "references",
                    "params": {"origin": "student@0123456789ab"},
                },
                {
                    "name": "people",
                    "kind": "references",
                    "params": {"origin": "upload"},
                },
            ]
        },
    )

    assert dependent_voters(config) == {"pairwise", "fixer", "reader"}


CODES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([DROP, KEEP, UNKNOWN]),
        st.sampled_from([0, 254, 255]),
        st.sampled_from([0, 127, 255]),
    ),
    max_size=30,
)


def count(rows):
    table = np.array(rows, dtype=np.uint8).reshape(-1, 4)
    return count_patterns(table[:, 2:], [1, 3], table[:, 0], table[:, 1])


@given(CODES, st.lists(st.integers(0, 30), max_size=6), st.randoms())
def test_patterns_merge_to_the_same_bytes_however_words_are_cut(rows, cuts, random):
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [count(rows[a:b]) for a, b in itertools.pairwise(bounds)]
    random.shuffle(parts)

    merged = merged_of(parts, 2)

    assert merged.to_bytes() == merge_patterns([count(rows)]).to_bytes()


def test_many_parts_are_merged_on_the_way():
    rng = np.random.default_rng(0)
    size = 20_000
    parts = [
        count_patterns(
            rng.integers(0, 255, (size, 3), dtype=np.uint8),
            np.ones(3),
            np.zeros(size, dtype=int),
        )
        for _ in range(8)
    ]

    merged = merged_of(parts, 3)

    # 160,000 patterns, nearly all of them different: one merge before the last.
    assert merged.num_words == 8 * size
    assert merged.to_bytes() == merge_patterns(parts).to_bytes()


def test_leaving_a_voter_out_is_as_if_it_had_abstained():
    patterns = count([(0, KEEP, 254, 0), (0, KEEP, 254, 127), (1, DROP, 255, 0)])

    left = leave_out(patterns, 1)

    # The third word is nobody's any more; the first two are one pattern.
    assert rows_of(left) == [(0, KEEP, (254, 255), 2)]
    assert left.samples_M.tolist() == [2, 0]
    assert rows_of(take_voters(patterns, [1])) == [
        (0, KEEP, (0,), 1),
        (0, KEEP, (127,), 1),
        (1, DROP, (0,), 1),
    ]
    assert take_voters(patterns, [1, 0]).samples_M.tolist() == [9, 2]


def test_shards_join_in_the_order_of_texts_however_they_were_cut():
    votes = {n: [vote("a", n, 254), vote("b", 3 * n, 0)] for n in (1, 2, 3)}
    truth = {1: [KEEP, UNKNOWN], 2: [DROP, KEEP], 3: [UNKNOWN, UNKNOWN]}

    def part(*ids):
        return data_of(
            "ab", {n: votes[n] for n in ids}, [t for n in ids for t in truth[n]]
        )

    whole = join_fit_data([part(1, 2, 3)], "ab")
    for parts in ([part(3), part(1), part(2)], [part(2, 3), part(1)]):
        joined = join_fit_data(parts, "ab")

        assert joined.panel.text_ids == (1, 2, 3)
        assert joined.panel.end_T.tolist() == [2, 4, 6]
        assert joined.panel.p_WM.tobytes() == whole.panel.p_WM.tobytes()
        assert joined.truth_W.tolist() == whole.truth_W.tolist()
        assert joined.group_W.tolist() == [0, 0, 1, 1, 2, 2]
    assert whole.truth_W.tolist() == [KEEP, UNKNOWN, DROP, KEEP, UNKNOWN, UNKNOWN]


def test_whole_texts_are_drawn_until_there_are_enough_words():
    votes = {n: [vote("a", 1, 2, 3)] for n in range(10)}
    found = data_of("a", votes, [UNKNOWN] * 30, [True, True, False] * 10)

    def draw(limit):
        return draw_texts(found, limit, np.random.default_rng(0))

    # Two words of each text count: 7 are held by four texts.
    drawn_T = draw(7).reshape(10, 3)
    assert sorted(drawn_T.sum(axis=1).tolist()) == [0] * 6 + [2] * 4
    assert not drawn_T[:, 2].any()
    assert draw(8).sum() == 8
    assert draw(20).tolist() == found.counts_W.tolist()


def test_nothing_joins_to_nothing():
    joined = join_fit_data([], "ab")

    assert joined.panel.p_WM.shape == (0, 2)
    assert joined.group_W.size == joined.truth_W.size == 0
    assert count_joint_votes(joined, frozenset()).num_words == 0


def test_merging_holds_no_more_than_what_parts_merge_to():
    rng = np.random.default_rng(0)

    def parts(count):
        for _ in range(count):
            codes = rng.integers(0, 9, (5_000, 3), dtype=np.uint8)
            yield count_patterns(codes, np.ones(3), np.zeros(5_000, dtype=int))

    def peak(count):
        tracemalloc.start()
        merged = merged_of(parts(count), 3)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert merged.num_words == 5_000 * count
        return most

    peak(1)
    # 729 patterns a part: 180 of them are waiting at most.
    assert peak(800) < 1.2 * peak(200)


def test_texts_stand_beside_the_patterns_and_tell_only_truth_that_counts():
    votes = {1: [vote("a", 254, 0, 9)], 2: [vote("a", 7, 8)], 3: [vote("a", 5)]}
    sizes = {1: 3, 2: 2, 3: 1}
    strata = {t: np.zeros(size, dtype=np.uint8) for t, size in sizes.items()}
    boundaries = {1: [3, 0, 1], 2: [3, 2], 3: [3]}
    panel = make_panel(
        "a",
        votes,
        strata,
        boundaries={t: np.array(b, dtype=np.uint8) for t, b in boundaries.items()},
    )
    truth_W = np.array([KEEP, UNKNOWN, DROP, UNKNOWN, UNKNOWN, KEEP], dtype=np.uint8)
    counts_W = np.array([True, False, False, True, True, False])
    groups = {1: "g", 2: "h", 3: "g"}

    found = count_joint_votes(FitData(panel, truth_W, counts_W, groups), frozenset())
    none = leave_out(found, 0)

    texts = found.texts
    assert texts is not None
    # Text 3 does not count; of text 1 only the first word's truth does.
    assert texts.boundary_N.tolist() == [3, 0, 1, 3, 2]
    assert texts.truth_N.tolist() == [KEEP, *[UNKNOWN] * 4]
    assert texts.code_NM[:, 0].tolist() == [254, 0, 9, 7, 8]
    assert np.unique(texts.group_N).size == 2
    assert none.texts is not None
    assert (none.texts.code_NM == 255).all()


def test_boundaries_join_with_their_texts():
    def part(text_id, boundary):
        votes = {text_id: [vote("a", *[9] * len(boundary))]}
        found = EligibleVotes(
            votes,
            {text_id: np.zeros(len(boundary), dtype=np.uint8)},
            {},
            frozenset({text_id}),
            {text_id: "g"},
            {text_id: np.array(boundary, dtype=np.uint8)},
        )
        return make_fit_data("a", found)

    joined = join_fit_data([part(2, [3, 1]), part(1, [3, 2, 0])], "a")

    assert joined.panel.boundary_W.tolist() == [3, 2, 0, 3, 1]
