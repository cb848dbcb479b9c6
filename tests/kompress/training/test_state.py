import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from kompress.training.optimizer import make_optimizer, set_rate
from kompress.training.state import CurvePoint, Record, TrainingState


def trained(seed):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = make_optimizer(model.named_parameters(), weight_decay=0.1)
    set_rate(optimizer, 0.1)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_saved_state_comes_back_whole(tmp_path):
    state = TrainingState(tmp_path, "f" * 64)
    model, optimizer = trained(0)
    record = Record([0.5, 0.25], [CurvePoint(2, 90, 0.375, None)])
    state.save(model, optimizer, record)

    copy, copy_optimizer = trained(1)
    loaded = TrainingState(tmp_path, "f" * 64).load(copy, copy_optimizer)

    assert loaded == record
    assert torch.equal(copy.weight, model.weight)
    moments, back = optimizer.state[model.weight], copy_optimizer.state[copy.weight]
    assert back["step"] == 2
    for part in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(moments[part], back[part])


def test_another_trainings_state_is_not_found(tmp_path):
    TrainingState(tmp_path, "a" * 64).save(*trained(0), Record([0.5]))

    assert TrainingState(tmp_path, "b" * 64).load(*trained(1)) == Record()


@pytest.mark.parametrize("damage", ["cut", "flipped", "alien"])
def test_a_damaged_state_is_not_used(tmp_path, damage):
    state = TrainingState(tmp_path, "a" * 64)
    state.save(*trained(0), Record([0.5]))
    content = bytearray(state.path.read_bytes())
    if damage == "cut":
        state.path.write_bytes(content[:-9])
    elif damage == "flipped":
        content[-1] ^= 1
        state.path.write_bytes(content)
    else:
        save_file(load_file(state.path), state.path)  # no story in it
    model, optimizer = trained(1)
    before = model.weight.clone()

    assert state.load(model, optimizer) == Record()
    assert torch.equal(model.weight, before)


def test_a_cleared_state_leaves_nothing(tmp_path):
    state = TrainingState(tmp_path / "deep" / "folder", "a" * 64)
    state.save(*trained(0), Record([0.5]))

    state.clear()
    state.clear()

    assert not list(state.path.parent.iterdir())
