"""The encoder in ModernBERT-base's shape, few layers of it, against transformers."""

import numpy as np
import pytest
import torch
from transformers.models.modernbert import ModernBertConfig, ModernBertModel

from kompress.config import SIZES
from kompress.students.encoder import Encoder
from kompress.students.matmul import fast_matmul
from kompress.students.modernbert_shape import ModernBertShape
from kompress.students.packing import Packing

NUM_LAYERS = 4  # full, sliding, sliding, full
NUM_IDS = 400  # base has 50,368; a table's length changes no number


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_base_shaped_layers_give_the_hidden_states_of_transformers(attention):
    torch.manual_seed(0)
    theirs = ModernBertModel(
        ModernBertConfig(
            vocab_size=NUM_IDS,
            num_hidden_layers=NUM_LAYERS,
            pad_token_id=0,
            bos_token_id=1,
            cls_token_id=1,
            eos_token_id=2,
            sep_token_id=2,
            attn_implementation=attention,
        )
    ).eval()
    config = SIZES["base"].model_copy(
        update={"num_layers": NUM_LAYERS, "vocab_size": NUM_IDS}
    )
    shape = ModernBertShape.of(config.model_dump())
    ours = Encoder(shape)
    ours.load_state_dict(theirs.state_dict())
    rng = np.random.default_rng(0)
    # Around the window of 128 and far beyond it; the longest the client sends.
    texts = [rng.integers(5, NUM_IDS, length) for length in (3, 64, 129, 300, 512)]
    packing = Packing([len(ids) for ids in texts], shape.window)

    with torch.inference_mode(), fast_matmul():
        hidden_RE = ours(packing.spread(np.concatenate(texts)), packing)
        expected = [theirs(torch.from_numpy(ids)[None])[0][0] for ids in texts]

    found_TE = hidden_RE.numpy()[packing.row_T]
    assert np.abs(found_TE - torch.cat(expected).numpy()).max() < 1e-5


def test_every_token_may_be_trained_the_first_one_too():
    config = SIZES["demo"].model_copy(update={"num_layers": 1, "vocab_size": 300})
    encoder = Encoder(ModernBertShape.of(config.model_dump()))
    packing = Packing([2], encoder.shape.window)

    hidden_RE = encoder(packing.spread(np.array([0, 5])), packing)
    # Not the plain sum: a norm's outputs sum to the same whatever goes in.
    hidden_RE[packing.row_T, 0].sum().backward()

    touched_V = encoder.embeddings.tok_embeddings.weight.grad.abs().sum(dim=1) > 0
    assert touched_V.nonzero().flatten().tolist() == [0, 5]
