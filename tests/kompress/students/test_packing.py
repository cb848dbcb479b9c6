import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.modernbert import ModernBertConfig, ModernBertModel

from kompress.config import StudentConfig
from kompress.students.matmul import fast_matmul
from kompress.students.model import StudentModel
from kompress.students.packing import Packing

NUM_IDS = 320


def build(**sizes):
    config = StudentConfig(
        hidden_size=32,
        num_heads=2,
        intermediate_size=48,
        span_channels=8,
        vocab_size=NUM_IDS,
        **sizes,
    )
    torch.manual_seed(1)
    return StudentModel(config).eval()


def run(model, texts):
    """Give each text's (2, L) log-odds from one packed pass."""
    packing = model.pack([len(ids) for ids in texts])
    with torch.inference_mode(), fast_matmul():
        heads = model(packing.spread(np.concatenate(texts)), packing)
    both = torch.stack(heads[:2]).numpy()[:, packing.row_T]
    return np.split(both, np.cumsum([len(ids) for ids in texts])[:-1], axis=1)


def reference(model, ids):
    """The same heads over transformers' own ModernBERT, one text, no packing."""
    config = model.config
    encoder = ModernBertModel(
        ModernBertConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            local_attention=config.local_attention,
            global_attn_every_n_layers=config.global_every,
            pad_token_id=0,
            bos_token_id=2,
            cls_token_id=2,
            eos_token_id=3,
            sep_token_id=3,
        )
    ).eval()
    encoder.load_state_dict(model.encoder.state_dict())
    with torch.inference_mode():
        hidden = encoder(torch.from_numpy(ids)[None]).last_hidden_state
        keep = model.token_head(hidden)[0]
        span = model.span_conv[:3](hidden.transpose(1, 2))[0, 0]
    return np.stack([(keep[:, 1] - keep[:, 0]).numpy(), span.numpy()])


def draw(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(5, NUM_IDS, length) for length in lengths]


@pytest.mark.parametrize("local_attention", [8, 128])
def test_packed_chunks_get_what_transformers_gives_each_alone(local_attention):
    model = build(num_layers=4, local_attention=local_attention)
    texts = draw([1, 2, 3, 63, 64, 65, 128, 129, 200, 300])

    packed = run(model, texts)

    for ids, heads in zip(texts, packed, strict=True):
        assert np.abs(heads - reference(model, ids)).max() < 1e-5


NEIGHBOURS = build(num_layers=2, local_attention=16, global_every=2)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 5))
def test_neighbours_in_a_packing_change_nothing(lengths, seed):
    model = NEIGHBOURS
    texts = draw(lengths, seed)

    together = run(model, texts)

    for ids, heads in zip(texts, together, strict=True):
        assert np.abs(heads - run(model, [ids])[0]).max() < 1e-5


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_gpu_gets_the_kernel_and_a_cpu_the_blocks(device):
    packing = Packing([5, 9], 64, device=device)

    assert packing.attention == ("blocks" if device == "cpu" else "masked")
    assert packing.spread(np.ones(14, np.uint16)).device.type == device


# Its gradients run on a GPU only: torch has no backward of this kernel for a CPU.
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("local_attention", [8, 64])
def test_the_gpus_kernel_gives_what_the_cpu_gives(local_attention):
    model = build(num_layers=3, local_attention=local_attention, global_every=2)
    texts = draw([1, 5, 17, 130])
    lengths = [len(ids) for ids in texts]

    both = []
    for attention in ("blocks", "masked"):
        packing = model.pack(lengths, attention=attention)
        with torch.inference_mode():
            heads = model(packing.spread(np.concatenate(texts)), packing)
        both.append(torch.stack([heads.keep_R, heads.span_R])[:, packing.row_T])

    assert (both[0] - both[1]).abs().max() < 1e-5


@pytest.mark.parametrize("num_layers", [0, 1, 2, 3])
def test_a_trunk_stands_for_the_layers_it_ran(num_layers):
    model = build(num_layers=3, local_attention=8, global_every=2)
    texts = draw([5, 17])
    packing = model.pack([len(ids) for ids in texts])
    ids_R = packing.spread(np.concatenate(texts))

    with torch.inference_mode():
        trunk = model.encoder.run_trunk(ids_R, packing, num_layers=num_layers)
        whole, rest = model(ids_R, packing), model(trunk, packing)

    assert torch.equal(whole.keep_R, rest.keep_R)
    assert torch.equal(whole.span_R, rest.span_R)


def test_gradients_are_those_of_chunks_alone():
    model = build(num_layers=3, local_attention=8)
    texts = draw([5, 17, 9])

    def gradients(groups):
        model.zero_grad()
        for group in groups:
            packing = model.pack([len(ids) for ids in group])
            keep_R, span_R, _ = model(packing.spread(np.concatenate(group)), packing)
            rows = torch.from_numpy(packing.row_T)
            (keep_R[rows].sum() + span_R[rows].sum()).backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    together = gradients([texts])
    alone = gradients([[ids] for ids in texts])

    for first, second in zip(together, alone, strict=True):
        assert torch.isfinite(first).all()
        assert (first - second).abs().max() < 1e-4 * (1 + second.abs().max())


def test_rows_come_in_few_counts_so_that_kernels_are_reused():
    counts = {Packing([length] * 4, 64).num_rows for length in range(200, 512)}

    assert counts == {1024, 1280, 1536, 1792, 2048}
