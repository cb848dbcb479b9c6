from dataclasses import replace

import numpy as np
import pytest
import torch

from kompress.errors import InvalidCheckpoint, InvalidConfig, TrainingFailed
from kompress.students import load
from kompress.students.checkpoint import WEIGHTS, pack
from kompress.students.tokenizer import train_tokenizer
from kompress.training import train


class Stopped(Exception):
    """The job was killed."""


def quiet(done, total, figures):
    """Report to nobody."""


def run(texts, recipe, folder, **changes):
    arguments = {
        "tokenizer_json": None,
        "init": None,
        "epochs": 2,
        "seed": 0,
        "folder": folder,
        "resume": None,
        "progress": quiet,
    }
    return train(texts, recipe, **arguments | changes)


def stop_at(step):
    def progress(done, total, figures):
        if done == step:
            raise Stopped

    return progress


@pytest.fixture(scope="module")
def parent(texts, recipe, tmp_path_factory):
    return run(texts, recipe, tmp_path_factory.mktemp("parent"), epochs=20)


def test_the_same_inputs_give_the_same_bytes(texts, recipe, tmp_path):
    first = run(texts, recipe, tmp_path / "a")
    torch.manual_seed(99)
    torch.rand(7)
    second = run(texts, recipe, tmp_path / "b")
    other = run(texts, recipe, tmp_path / "c", seed=1)

    assert first.student_id == second.student_id
    assert first.losses == second.losses
    assert first.student_id != other.student_id


@pytest.mark.parametrize("step", [10, 12])
def test_a_killed_training_ends_with_the_same_weights(texts, recipe, tmp_path, step):
    # States are saved at steps 4, 8, 12: one kill right after a save, one between.
    whole = run(texts, recipe, tmp_path / "whole", epochs=7)
    assert whole.num_steps >= 20

    state = tmp_path / "state"
    with pytest.raises(Stopped):
        run(
            texts,
            recipe,
            tmp_path / "killed",
            epochs=7,
            resume=state,
            progress=stop_at(step),
        )
    assert not (tmp_path / "killed").exists()
    steps = []
    resumed = run(
        texts,
        recipe,
        tmp_path / "killed",
        epochs=7,
        resume=state,
        progress=lambda done, total, figures: steps.append(done),
    )

    assert steps[0] == step // 4 * 4 + 1
    weights = [(tmp_path / n / WEIGHTS).read_bytes() for n in ("whole", "killed")]
    assert weights[0] == weights[1]
    assert resumed.student_id == whole.student_id
    assert (resumed.losses, resumed.num_tokens) == (whole.losses, whole.num_tokens)
    assert not list(state.iterdir())


def test_a_student_learns_what_it_is_shown(texts, parent):
    student = load(parent.folder)
    score = np.concatenate(student.score([text.text for text in texts]))
    target = np.concatenate([text.target_N for text in texts])
    assert parent.losses[-1] < 0.5 * parent.losses[0]
    assert ((score > 0.5) == (target > 0.5)).mean() > 0.95


def test_soft_targets_are_learnt_as_probabilities(texts, recipe, tmp_path):
    # Each token's cross-entropy is least at P = 0.7, and there its loss is H(0.7).
    soft = [replace(text, target_N=np.full_like(text.target_N, 0.7)) for text in texts]
    even = recipe.model_copy(update={"must_keep_weight": 1.0, "span_weight": 0.0})

    result = run(soft, even, tmp_path, epochs=20)

    entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
    assert result.losses[-1] == pytest.approx(entropy, abs=0.01)
    assert min(result.losses) > entropy - 1e-6


def test_progress_tells_steps_tokens_and_rate(texts, recipe, tmp_path):
    seen = []

    result = run(texts, recipe, tmp_path, progress=lambda *report: seen.append(report))

    assert [done for done, _, _ in seen] == list(range(1, result.num_steps + 1))
    assert {total for _, total, _ in seen} == {result.num_steps}
    assert seen[-1][2]["num_tokens"] == result.num_tokens
    assert [report[2]["loss"] for report in seen] == list(result.losses)
    rates = [report[2]["learning_rate"] for report in seen]
    assert max(rates) == recipe.learning_rate
    assert rates[-1] < 0.1 * recipe.learning_rate


def test_a_token_limit_is_kept(texts, recipe, tmp_path):
    whole = run(texts, recipe, tmp_path / "a")

    half = run(texts, recipe, tmp_path / "b", max_tokens=whole.num_tokens // 2)

    assert 0 < half.num_tokens <= whole.num_tokens // 2


@pytest.mark.parametrize("as_blob", [True, False])
def test_a_child_starts_where_its_parent_ended(
    texts, recipe, parent, tmp_path, as_blob
):
    init = pack(parent.folder) if as_blob else parent.folder

    child = run(texts, recipe, tmp_path / "child", init=init, epochs=1)

    assert child.losses[0] < 0.6 * parent.losses[0]
    assert load(child.folder).lineage["parent"] == parent.student_id


def test_a_parent_of_other_sizes_or_tokenizer_is_refused(
    texts, recipe, parent, tmp_path
):
    student = recipe.student.model_copy(update={"num_layers": 1})
    smaller = recipe.model_copy(update={"student": student})

    with pytest.raises(InvalidCheckpoint, match="expected equal sizes"):
        run(texts, smaller, tmp_path / "child", init=parent.folder)
    with pytest.raises(InvalidCheckpoint, match="another tokenizer"):
        run(
            texts,
            recipe,
            tmp_path / "child",
            init=parent.folder,
            tokenizer_json=train_tokenizer(["other words"], 300),
        )


def test_a_tokenizer_larger_than_the_model_is_refused(texts, recipe, tmp_path):
    # Every two-letter word of 12 letters is frequent enough for a merge: 261 + 144.
    pairs = [a + b for a in "abcdefghijkl" for b in "mnopqrstuvwx"]
    tokenizer_json = train_tokenizer([" ".join(pairs * 3)], 400)

    with pytest.raises(InvalidConfig, match="vocab_size is 320"):
        run(texts, recipe, tmp_path, tokenizer_json=tokenizer_json)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_state(
    texts, recipe, tmp_path
):
    # Steps of 10^18 blow any weights up before the second state is saved.
    broken = recipe.model_copy(
        update={"learning_rate": 1e18, "clip_norm": 1e18, "checkpoint_every": 1}
    )

    with pytest.raises(TrainingFailed, match=r"step \d+ of \d+ .* on texts \d"):
        run(texts, broken, tmp_path / "out", resume=tmp_path / "state", epochs=5)

    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_the_process_gets_its_threads_and_random_state_back(texts, recipe, tmp_path):
    torch.set_num_threads(2)
    before = torch.get_rng_state()

    run(texts, recipe, tmp_path, epochs=1)

    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
