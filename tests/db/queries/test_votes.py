"""Votes are immutable; rounds link to them."""

import threading

import numpy as np
from sqlalchemy import text

from db.queries import texts, voters, votes
from kompress.types import Fingerprint, Vote


def vote(*codes, num_samples=1):
    return Vote(np.array(codes, dtype=np.uint8), num_samples)


def stored(session, world, round_id=None):
    found = votes.load_round_votes(session, round_id or world.round_id, world.text_ids)
    return {
        text_id: [(row.voter, row.replicate, row.codes_N.tolist()) for row in rows]
        for text_id, rows in found.items()
    }


def test_a_vote_comes_back_through_its_round(session, world):
    a, b, _ = world.text_ids
    rows = [(b, 0, vote(1, 2)), (a, 1, vote(3, 4, num_samples=7)), (a, 0, vote(5, 6))]

    votes.store_votes(session, world.round_id, world.voter_id, rows)

    assert stored(session, world) == {
        a: [("salience", 0, [5, 6]), ("salience", 1, [3, 4])],
        b: [("salience", 0, [1, 2])],
    }
    found = votes.load_round_votes(session, world.round_id, [a])
    assert [row.num_samples for row in found[a]] == [1, 7]


def test_the_first_vote_stays_and_a_second_round_links_to_it(session, world, add_round):
    a = world.text_ids[0]
    later = add_round(session, world, 2)
    votes.store_votes(session, world.round_id, world.voter_id, [(a, 0, vote(1))])

    votes.store_votes(session, later, world.voter_id, [(a, 0, vote(9))])
    votes.store_votes(session, later, world.voter_id, [(a, 0, vote(9))])

    assert stored(session, world, later) == {a: [("salience", 0, [1])]}
    assert session.scalar(text("SELECT count(*) FROM votes")) == 1
    assert session.scalar(text("SELECT count(*) FROM round_votes")) == 2


def test_reused_votes_get_linked_up_to_the_replicates_wanted(session, world, add_round):
    a, b, c = world.text_ids
    rows = [(a, 0, vote(1)), (a, 1, vote(2)), (b, 1, vote(3))]
    votes.store_votes(session, world.round_id, world.voter_id, rows)
    later = add_round(session, world, 2)

    one = votes.link_votes(session, later, world.voter_id, [a, b, c], 1)
    two = votes.link_votes(session, later, world.voter_id, [a, b, c], 2)

    assert one == {(a, 0)}
    assert two == {(a, 0), (a, 1), (b, 1)}
    assert stored(session, world, later) == {
        a: [("salience", 0, [1]), ("salience", 1, [2])],
        b: [("salience", 1, [3])],
    }


def test_known_votes_are_one_voters_in_any_round(session, world):
    a, b, _ = world.text_ids
    rows = [(a, 0, vote(1)), (b, 2, vote(3))]
    votes.store_votes(session, world.round_id, world.voter_id, rows)
    other = voters.register_voter(session, Fingerprint("other"), "rules", {})

    assert votes.known_votes(session, world.voter_id, [a, b]) == {(a, 0), (b, 2)}
    assert votes.known_votes(session, other, [a, b]) == set()


def test_votes_of_a_text_are_ordered_by_voter_name(session, world):
    a = world.text_ids[0]
    for name in ("zeta", "Beta", "alpha"):
        voter_id = voters.register_voter(session, Fingerprint(name), "rules", {})
        votes.store_votes(session, world.round_id, voter_id, [(a, 0, vote(1))])

    # Byte order, the same under every collation: capitals first.
    assert [row[0] for row in stored(session, world)[a]] == ["Beta", "alpha", "zeta"]


def test_two_writers_of_the_same_votes_in_any_order_store_them_once(
    sessions, build_world, make_text
):
    num_texts, num_rounds = 400, 6
    with sessions.begin() as session:
        world = build_world(session, 1)
        ids = texts.store_texts(
            session, [make_text(f"{n} y") for n in range(num_texts)]
        )
    rng = np.random.default_rng(0)
    orders = [
        [rng.permutation(list(ids.values())).tolist() for _ in range(num_rounds)]
        for _ in range(2)
    ]
    start = threading.Barrier(2)
    errors = []

    def write(order, codes):
        try:
            for replicate, text_ids in enumerate(order):
                start.wait()
                with sessions.begin() as session:
                    rows = [(text_id, replicate, vote(codes)) for text_id in text_ids]
                    votes.store_votes(session, world.round_id, world.voter_id, rows)
        except Exception as error:  # noqa: BLE001  # a thread's error must reach the test
            errors.append(error)
            start.abort()

    threads = [
        threading.Thread(target=write, args=(order, codes))
        for codes, order in enumerate(orders)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with sessions() as session:
        num_votes = session.scalar(text("SELECT count(*) FROM votes"))
        num_links = session.scalar(text("SELECT count(*) FROM round_votes"))
    assert errors == []
    assert num_votes == num_links == num_texts * num_rounds
