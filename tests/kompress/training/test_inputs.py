import numpy as np
import pytest
import torch

from kompress.students.model import StudentModel
from kompress.students.tokenizer import MIN_VOCAB_SIZE, WordTokenizer, train_tokenizer
from kompress.training.inputs import TrunkCache, group_passes, lay_rows
from kompress.training.texts import prepare

BYTES = WordTokenizer(train_tokenizer([], MIN_VOCAB_SIZE))


@pytest.fixture(scope="module")
def case(texts, recipe):
    torch.manual_seed(2)
    model = StudentModel(recipe.student).eval()
    return model, prepare(texts, recipe, BYTES)


@pytest.mark.parametrize(("max_bytes", "in_file"), [(2**30, False), (0, True)])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_cached_activations_give_what_the_whole_model_gives(
    case, max_bytes, in_file, num_layers
):
    model, data = case
    cache = TrunkCache(
        model, data, num_layers=num_layers, dtype=torch.float32, max_bytes=max_bytes
    )

    with torch.inference_mode():
        plain = lay_rows(model, data, [3, 0], None)
        cached = lay_rows(model, data, [3, 0], cache)
        whole = model(plain.inputs, plain.packing).keep_R
        rest = model(cached.inputs, cached.packing).keep_R

    rows = plain.packing.row_T
    assert (whole - rest)[rows].abs().max() < 1e-5
    assert cache.is_mapped == in_file


def test_rows_carry_the_labels_of_their_tokens(case):
    model, data = case
    rows = lay_rows(model, data, [2], None)
    first, last = data.chunks.end_C[1:3]

    spread = rows.packing.row_T
    assert (
        rows.inputs.numpy()[spread].tolist() == data.chunks.ids_T[first:last].tolist()
    )
    assert rows.target_R.numpy()[spread].tolist() == data.target_T[first:last].tolist()
    assert float(rows.weight_R.sum()) == pytest.approx(data.weight_T[first:last].sum())


def test_passes_hold_every_chunk_once_and_about_4096_tokens():
    passes = group_passes(np.full(20, 500))

    assert [chunk for chunks in passes for chunk in chunks] == list(range(20))
    assert [len(chunks) for chunks in passes] == [9, 8, 3]
