import pytest
import torch
from transformers.models.modernbert import ModernBertConfig, ModernBertModel

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.dual_head import STUDENTS

BASE = StudentConfig(
    num_layers=22,
    hidden_size=768,
    num_heads=12,
    intermediate_size=1152,
    span_channels=256,
    vocab_size=50_368,
    max_tokens=8192,
)


@pytest.fixture(scope="module")
def base():
    with torch.device("meta"):
        return STUDENTS["dual_head"](BASE)


def test_modernbert_base_sizes_give_the_deployed_models_parameter_count(base):
    # encoder 149,014,272 + token head 1,538 + span head 984,065
    assert sum(p.numel() for p in base.encoder.parameters()) == 149_014_272
    assert sum(p.numel() for p in base.parameters()) == 149_999_875


def test_the_encoder_has_the_keys_and_shapes_of_transformers(base):
    with torch.device("meta"):
        theirs = ModernBertModel(ModernBertConfig()).state_dict()

    ours = base.encoder.state_dict()

    assert list(ours) == list(theirs)
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]


def test_the_heads_have_the_keys_that_the_client_loads(base):
    keys = {key for key in base.state_dict() if not key.startswith("encoder.")}

    assert keys == {
        f"{module}.{part}"
        for module in ("token_head", "span_conv.0", "span_conv.2")
        for part in ("weight", "bias")
    }


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(InvalidConfig, match="hidden_size 30 with 4 heads"):
        STUDENTS["dual_head"](StudentConfig(hidden_size=30, num_heads=4))
