"""A student's weights under the names that the deployed client asks for."""

from torch import Tensor, nn

from kompress.errors import InvalidCheckpoint
from kompress.students.dual_head import DualHead
from kompress.students.weight_files import CLIENT_PARTS


def to_client_state(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Give the three dictionaries of a merged.pt.

    Args:
        model: a dual-head student; a quality head, which the client does not know, is
            left out.

    Returns:
        `encoder_state_dict`, `token_head_state_dict` and `span_conv_state_dict`:
        float32 tensors on the CPU, copies of the student's.

    Raises:
        InvalidCheckpoint: the student has no span head, or adapters are not merged.

    Source: headroom 0.42.0's checkpoint loader.
    """
    if not isinstance(model, DualHead):
        raise InvalidCheckpoint(
            f"a {type(model).__name__} has no span head; the deployed client expects "
            "a dual_head student; train the recipe with variant dual_head"
        )
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in CLIENT_PARTS}
    for key, tensor in model.state_dict().items():
        if "lora_" in key or "base_layer" in key:
            raise InvalidCheckpoint(
                f"{key} belongs to an adapter; expected merged weights; merge the "
                "adapters before the export"
            )
        for name, prefix in CLIENT_PARTS.items():
            if key.startswith(prefix):
                value = tensor.detach().to("cpu").float().clone().contiguous()
                parts[name][key.removeprefix(prefix)] = value
    return parts
