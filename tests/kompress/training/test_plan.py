import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.students import Student, load
from kompress.training import train
from kompress.training.plan import plan_batches


def test_a_parent_from_elsewhere_is_named_by_its_own_lineage(texts, recipe, tmp_path):
    def run(folder, init):
        return train(
            texts[:2],
            recipe,
            tokenizer_json=None,
            init=init,
            epochs=1,
            seed=0,
            folder=tmp_path / folder,
            resume=None,
            progress=lambda *_: None,
        )

    own = load(run("own", None).folder)
    foreign = Student.from_model(
        own.model, own.tokenizer, recipe={}, lineage={"source": "org/name"}
    )

    of_ours = load(run("of_ours", own).folder).lineage
    of_theirs = load(run("of_theirs", foreign).folder).lineage

    assert (of_ours["parent"], of_ours["pretrained"]) == (own.id, None)
    assert (of_theirs["parent"], of_theirs["pretrained"]) == (
        None,
        {"source": "org/name"},
    )


@given(
    st.lists(st.integers(3, 60), min_size=1, max_size=30),
    st.integers(10, 200),
    st.integers(1, 3),
    st.integers(0, 2**40),
)
def test_every_epoch_sees_every_chunk_once_within_the_budget(
    lengths, batch_tokens, epochs, seed
):
    batches = plan_batches(
        np.array(lengths), batch_tokens=batch_tokens, epochs=epochs, seed=seed
    )

    for epoch in range(epochs):
        seen = [c for batch in batches if batch.epoch == epoch for c in batch.chunks]
        assert sorted(seen) == list(range(len(lengths)))
    for batch in batches:
        assert batch.num_tokens == sum(lengths[chunk] for chunk in batch.chunks)
        assert batch.num_tokens <= batch_tokens or len(batch.chunks) == 1


def test_epochs_and_seeds_shuffle_differently():
    lengths = np.full(50, 10)

    def order(seed, epoch):
        plan = plan_batches(lengths, batch_tokens=10_000, epochs=2, seed=seed)
        return plan[epoch].chunks

    assert len({order(0, 0), order(0, 1), order(1, 0), order(1, 1)}) == 4
    assert order(0, 0) == order(0, 0)


def test_a_token_limit_stops_before_the_batch_that_would_exceed_it():
    lengths = np.full(10, 10)

    def planned(max_tokens):
        plan = plan_batches(
            lengths, batch_tokens=20, epochs=3, seed=0, max_tokens=max_tokens
        )
        return sum(batch.num_tokens for batch in plan)

    # Batches of 20 tokens, 300 in all.
    assert [planned(limit) for limit in (None, 300, 119, 120, 1)] == [
        300,
        300,
        100,
        120,
        20,
    ]
