from dataclasses import replace

import numpy as np
import pytest
import torch

from kompress.config import FineTuningConfig
from kompress.errors import InvalidConfig
from kompress.students import load
from kompress.students.model import StudentModel
from kompress.training.fine_tuning import merge_adapters, moving, prepare


@pytest.fixture
def model(recipe):
    torch.manual_seed(3)
    return StudentModel(recipe.student).eval()


def names(model):
    return {name for name, _ in moving(model)}


def test_heads_move_alone(model):
    assert prepare(model, FineTuningConfig(method="heads")) == 2
    assert {name.split(".")[0] for name in names(model)} == {"token_head", "span_conv"}


def test_the_last_layer_moves_with_the_norm_behind_it(model):
    method = FineTuningConfig(method="last_layers", num_layers=1)

    assert prepare(model, method) == 1
    encoder = {n for n in names(model) if n.startswith("encoder")}
    assert {n.split(".")[1] for n in encoder} == {"layers", "final_norm"}
    assert all(n.startswith(("encoder.layers.1.", "encoder.final")) for n in encoder)


def test_more_last_layers_than_there_are_is_refused(model):
    with pytest.raises(InvalidConfig, match="num_layers is 3, the student has 2"):
        prepare(model, FineTuningConfig(method="last_layers", num_layers=3))


def test_adapters_that_match_no_module_are_refused_with_the_names_there_are(model):
    method = FineTuningConfig(method="lora", lora_modules=("Wqkv", "q_proj"))

    with pytest.raises(InvalidConfig, match=r"q_proj match no .*Wqkv.*attn\.Wo"):
        prepare(model, method)


@pytest.mark.slow
def test_merged_adapters_leave_plain_weights_and_the_same_outputs(model):
    keys = list(model.state_dict())
    method = FineTuningConfig(method="lora", lora_rank=4, lora_modules=("Wqkv", "Wo"))
    packing = model.pack([9])
    ids_R = packing.spread(np.arange(5, 14))

    assert prepare(model, method) == 0
    for name, weight in moving(model):
        assert "lora_" in name or not name.startswith("encoder")
        torch.nn.init.normal_(weight.data, std=0.05)
    with torch.inference_mode():
        adapted = model.eval()(ids_R, packing).keep_R
        merge_adapters(model, method)
        merged = model(ids_R, packing).keep_R

    # 2 layers with Wqkv and two kinds of Wo; both factors each.
    assert list(model.state_dict()) == keys
    assert (adapted - merged).abs().max() < 1e-5


@pytest.mark.parametrize(
    "method",
    [
        {"method": "heads"},
        {"method": "last_layers", "num_layers": 1},
        pytest.param({"method": "lora", "lora_rank": 4}, marks=pytest.mark.slow),
    ],
)
def test_only_the_weights_of_the_method_move_and_the_loss_falls(
    run, texts, recipe, parent, tmp_path, method
):
    tuned = recipe.model_copy(
        update={"fine_tuning": FineTuningConfig.model_validate(method)}
    )
    flipped = [replace(text, target_N=1 - np.asarray(text.target_N)) for text in texts]

    child = run(flipped, tuned, tmp_path / "child", init=load(parent.folder), epochs=8)

    before = load(parent.folder).model.state_dict()
    after = load(child.folder).model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert list(after) == list(before)
    expected = {
        "heads": (),
        "last_layers": ("encoder.layers.1.", "encoder.final_norm."),
        "lora": tuple(
            f"encoder.layers.{layer}.{name}"
            for layer in (0, 1)
            for name in ("attn.Wqkv", "attn.Wo", "mlp.Wo")
        ),
    }[method["method"]]
    assert moved == {
        name for name in before if name.startswith((*expected, "token", "span"))
    }
    assert child.losses[-1] < 0.8 * child.losses[0]


def test_a_killed_training_of_the_last_layer_resumes_to_the_same_bytes(
    run, stop_at, stopped, texts, recipe, parent, tmp_path
):
    method = FineTuningConfig(method="last_layers", num_layers=1)
    tuned = recipe.model_copy(update={"fine_tuning": method})
    arguments = {"init": parent.folder, "epochs": 4}
    whole = run(texts, tuned, tmp_path / "whole", **arguments)
    state = tmp_path / "state"
    with pytest.raises(stopped):
        run(
            texts, tuned, tmp_path / "b", resume=state, progress=stop_at(6), **arguments
        )

    resumed = run(texts, tuned, tmp_path / "b", resume=state, **arguments)

    assert resumed.student_id == whole.student_id
