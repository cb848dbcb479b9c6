from dataclasses import replace

import numpy as np
import pytest
import torch

from kompress.errors import (
    InvalidCheckpoint,
    InvalidConfig,
    InvalidText,
    TrainingFailed,
)
from kompress.students import load
from kompress.students.checkpoint import WEIGHTS, pack
from kompress.students.tokenizer import train_tokenizer
from kompress.training.inputs import lay_rows
from kompress.training.loss import measure
from kompress.training.texts import prepare, prepare_held_out


def test_the_same_inputs_give_the_same_bytes(run, texts, recipe, tmp_path):
    first = run(texts, recipe, tmp_path / "a")
    torch.manual_seed(99)
    torch.rand(7)
    second = run(texts, recipe, tmp_path / "b")
    other = run(texts, recipe, tmp_path / "c", seed=1)

    assert first.student_id == second.student_id
    assert first.losses == second.losses
    assert first.student_id != other.student_id


@pytest.mark.parametrize("step", [10, 12])
def test_a_killed_training_ends_with_the_same_weights(
    run, stop_at, stopped, texts, recipe, tmp_path, step
):
    # States are saved at steps 4, 8, 12: one kill right after a save, one between.
    whole = run(texts, recipe, tmp_path / "whole", epochs=7)
    assert whole.num_steps >= 20

    state = tmp_path / "state"
    with pytest.raises(stopped):
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


def test_soft_targets_are_learnt_as_probabilities(run, texts, recipe, tmp_path):
    # Each token's cross-entropy is least at P = 0.7, and there its loss is H(0.7); two
    # heads at 0.7 score 0.7·(1 + 0.7)/2 = 0.595.
    soft = [
        replace(text, target_N=np.full_like(text.target_N, 0.595)) for text in texts
    ]
    even = recipe.model_copy(update={"must_keep_weight": 1.0, "span_weight": 0.0})

    result = run(soft, even, tmp_path, epochs=20)

    entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
    assert result.losses[-1] == pytest.approx(entropy, abs=0.01)
    assert min(result.losses) > entropy - 1e-6


def test_progress_tells_steps_tokens_and_rate(run, texts, recipe, tmp_path):
    seen = []

    result = run(texts, recipe, tmp_path, progress=lambda *report: seen.append(report))

    assert [done for done, _, _ in seen] == list(range(1, result.num_steps + 1))
    assert {total for _, total, _ in seen} == {result.num_steps}
    assert seen[-1][2]["num_tokens"] == result.num_tokens
    assert [report[2]["loss"] for report in seen] == list(result.losses)
    rates = [report[2]["learning_rate"] for report in seen]
    assert max(rates) == recipe.learning_rate
    assert rates[-1] < 0.1 * recipe.learning_rate


def test_a_token_limit_is_kept(run, texts, recipe, tmp_path):
    whole = run(texts, recipe, tmp_path / "a")

    half = run(texts, recipe, tmp_path / "b", max_tokens=whole.num_tokens // 2)

    assert 0 < half.num_tokens <= whole.num_tokens // 2


@pytest.mark.parametrize("as_blob", [True, False])
def test_a_child_starts_where_its_parent_ended(
    run, texts, recipe, parent, tmp_path, as_blob
):
    init = pack(parent.folder) if as_blob else parent.folder

    child = run(texts, recipe, tmp_path / "child", init=init, epochs=1)

    assert child.losses[0] < 0.6 * parent.losses[0]
    assert load(child.folder).lineage["parent"] == parent.student_id


def test_a_parent_of_other_sizes_or_tokenizer_is_refused(
    run, texts, recipe, parent, tmp_path
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


def test_a_tokenizer_larger_than_the_model_is_refused(run, texts, recipe, tmp_path):
    # Every two-letter word of 12 letters is frequent enough for a merge: 261 + 144.
    pairs = [a + b for a in "abcdefghijkl" for b in "mnopqrstuvwx"]
    tokenizer_json = train_tokenizer([" ".join(pairs * 3)], 400)

    with pytest.raises(InvalidConfig, match="vocab_size is 320"):
        run(texts, recipe, tmp_path, tokenizer_json=tokenizer_json)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_state(
    run, texts, recipe, tmp_path
):
    # Steps of 10^18 blow any weights up before the second state is saved.
    broken = recipe.model_copy(
        update={"learning_rate": 1e18, "clip_norm": 1e18, "checkpoint_every": 1}
    )

    with pytest.raises(TrainingFailed, match=r"step \d+ of \d+ .* on texts \d"):
        run(texts, broken, tmp_path / "out", resume=tmp_path / "state", epochs=5)

    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / "state").iterdir())) == 1


@pytest.mark.parametrize("read_every", [1, 3, 50])
def test_a_late_look_finds_the_first_bad_step_and_saves_nothing_after_it(
    run, texts, recipe, tmp_path, read_every
):
    broken = recipe.model_copy(
        update={"learning_rate": 1e18, "clip_norm": 1e18, "checkpoint_every": 1000}
    )

    with pytest.raises(TrainingFailed, match="step 2 of"):
        run(
            texts,
            broken,
            tmp_path / "out",
            resume=tmp_path / "state",
            epochs=9,
            read_every=read_every,
        )

    assert not list((tmp_path / "state").iterdir())


def test_looking_less_often_changes_nothing_but_the_reports(
    run, texts, recipe, tmp_path
):
    often = run(texts, recipe, tmp_path / "a")
    seen = []
    seldom = run(
        texts,
        recipe,
        tmp_path / "b",
        read_every=3,
        progress=lambda done, total, figures: seen.append(done),
    )

    assert seldom.student_id == often.student_id
    assert seldom.losses == often.losses
    assert seen == [*range(3, often.num_steps, 3), often.num_steps]


def test_the_curve_holds_both_losses_at_the_steps_asked_for(
    run, texts, recipe, tmp_path
):
    often = recipe.model_copy(update={"evaluate_every": 3})

    result = run(texts[:6], often, tmp_path, held_out=texts[6:], epochs=4)

    steps = [point.step for point in result.curve]
    assert steps == sorted({*range(3, result.num_steps + 1, 3), result.num_steps})
    first = result.curve[0]
    assert first.train_loss == pytest.approx(sum(result.losses[:3]) / 3)
    assert result.curve[-1].held_out_loss < first.held_out_loss
    assert result.curve[-1].num_tokens == result.num_tokens == result.num_new_tokens
    assert not result.stopped_early
    assert 0 < result.num_flops < result.seconds * result.peak_flops


@pytest.fixture(scope="module")
def impatient(recipe):
    # Large steps overfit six texts at once: the held-out loss soon rises.
    return recipe.model_copy(
        update={
            "evaluate_every": 2,
            "early_stop_patience": 2,
            "learning_rate": 0.03,
            "held_out_share": 0.1,
        }
    )


def test_patience_ends_a_training_with_its_best_weights(
    run, texts, recipe, impatient, tmp_path
):
    upside_down = [
        replace(text, target_N=1 - np.asarray(text.target_N)) for text in texts[6:]
    ]

    result = run(texts[:6], impatient, tmp_path, held_out=upside_down, epochs=30)
    losses = [point.held_out_loss for point in result.curve]
    best = int(np.argmin(losses))

    assert result.stopped_early
    assert len(losses) == best + 1 + 2
    student = load(tmp_path)
    assert student.lineage["kept_step"] == result.curve[best].step
    kept = prepare_held_out(upside_down, impatient, student.tokenizer)
    again = measure(student.model, kept, None, impatient, torch.float32)
    assert again == pytest.approx(losses[best], rel=0.02)  # measured in bfloat16 before


def test_a_killed_patient_training_ends_as_if_it_had_not_been(
    run, stop_at, stopped, texts, impatient, tmp_path
):
    arguments = {"held_out": texts[6:], "epochs": 12}
    whole = run(texts[:6], impatient, tmp_path / "whole", **arguments)
    state = tmp_path / "state"
    with pytest.raises(stopped):
        run(
            texts[:6],
            impatient,
            tmp_path / "killed",
            resume=state,
            progress=stop_at(6),
            **arguments,
        )

    resumed = run(texts[:6], impatient, tmp_path / "killed", resume=state, **arguments)

    assert resumed.student_id == whole.student_id
    assert resumed.curve == whole.curve
    assert resumed.num_new_tokens < whole.num_new_tokens


def test_patience_without_held_out_texts_is_refused(run, texts, impatient, tmp_path):
    with pytest.raises(InvalidText, match="no text is held out"):
        run(texts, impatient, tmp_path)
    weightless = [replace(texts[0], weight_N=np.zeros_like(texts[0].target_N))]
    with pytest.raises(InvalidText, match="1 held-out texts weigh nothing"):
        run(texts, impatient, tmp_path, held_out=weightless)


def test_a_quality_head_learns_the_qualities_that_are_sure(
    run, texts, recipe, tmp_path
):
    student = recipe.student.model_copy(update={"quality_head": True})
    wanted = recipe.model_copy(update={"student": student, "quality_weight": 1.0})
    # The odd texts say 100 times as unsurely that the quality is -9.
    rated = [
        replace(text, quality=2.0, quality_se=0.1)
        if number % 2 == 0
        else replace(text, quality=-9.0, quality_se=10.0)
        for number, text in enumerate(texts)
    ]

    run(rated, wanted, tmp_path, epochs=20)

    model = load(tmp_path).model
    data = prepare(rated, wanted, load(tmp_path).tokenizer)
    rows = lay_rows(model, data, range(8), None)
    with torch.inference_mode():
        quality_C = model(rows.inputs, rows.packing).quality_C
    assert (quality_C - 2).abs().max() < 0.5


def test_a_quality_weight_without_head_or_quality_is_refused(
    run, texts, recipe, tmp_path
):
    headless = recipe.model_copy(update={"quality_weight": 1.0})
    student = recipe.student.model_copy(update={"quality_head": True})

    with pytest.raises(InvalidConfig, match="has no quality head"):
        run(texts, headless, tmp_path)
    with pytest.raises(InvalidText, match="no text has a quality"):
        run(texts, headless.model_copy(update={"student": student}), tmp_path)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_either_precision_repeats_itself_and_learns(
    run, texts, recipe, tmp_path, precision
):
    asked = recipe.model_copy(update={"precision": precision})

    first = run(texts, asked, tmp_path / "a", epochs=10)
    second = run(texts, asked, tmp_path / "b", epochs=10)

    assert first.student_id == second.student_id
    assert first.losses[-1] < 0.5 * first.losses[0]
    assert load(first.folder).lineage["precision"] == precision
    weights = load(first.folder).model.state_dict().values()
    assert {weight.dtype for weight in weights} == {torch.float32}


def test_the_process_gets_its_threads_and_random_state_back(
    run, texts, recipe, tmp_path
):
    torch.set_num_threads(2)
    before = torch.get_rng_state()

    run(texts, recipe, tmp_path, epochs=1)

    assert torch.get_num_threads() == 2
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
