"""Which of a student's weights move, and adapters that end up in plain weights."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from kompress.config import FineTuningConfig
from kompress.errors import InvalidConfig
from kompress.students.model import HEADS, StudentModel


def prepare(model: StudentModel, method: FineTuningConfig) -> int:
    """Freeze what shall not move and put adapters on what they are asked for.

    Args:
        model: changed in place; `merge_adapters` takes the adapters off again.
        method: which weights move. `heads` leaves the last norm alone, `last_layers`
            moves it with the layers before it.

    Returns:
        How many of the first layers never change, embeddings included: what a cache
        may stand for. 0 where nothing can be cached.

    Raises:
        InvalidConfig: adapters for a module that does not exist, or more last layers
            than there are.

    Source: Hu et al. 2021 for LoRA, by `peft`.
    """
    total = model.config.num_layers
    if method.method == "full":
        return 0
    if method.method == "lora":
        _adapt(model, method)
        return 0
    if method.method == "last_layers" and method.num_layers > total:
        raise InvalidConfig(
            f"fine_tuning.num_layers is {method.num_layers}, the student has {total} "
            'layers; expected no more; use method "full" to train all of them'
        )
    model.encoder.requires_grad_(requires_grad=False)
    if method.method == "heads":
        return total
    frozen = total - method.num_layers
    model.encoder.layers[frozen:].requires_grad_(requires_grad=True)
    model.encoder.final_norm.requires_grad_(requires_grad=True)
    return frozen


def merge_adapters(model: nn.Module, method: FineTuningConfig) -> None:
    """Add every adapter to the weight it sits on and take it off.

    Afterwards the state dict has the keys of a student without adapters.
    """
    if method.method != "lora":
        return
    from peft.tuners.lora import LoraLayer  # noqa: PLC0415  # 5 seconds

    adapted = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    ]
    for name, module in adapted:
        module.merge(safe_merge=True)
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, module.get_base_layer())


def moving(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Give the parameters that train, by name, in the model's order."""
    return [
        (n, weight) for n, weight in model.named_parameters() if weight.requires_grad
    ]


@torch.no_grad()
def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights by name into a model's parameters."""
    parameters = dict(model.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)


def _adapt(model: StudentModel, method: FineTuningConfig) -> None:
    linears = [
        name
        for name, module in model.encoder.named_modules()
        if isinstance(module, nn.Linear)
    ]
    unknown = [
        wanted
        for wanted in method.lora_modules
        if not any(_is_named(name, wanted) for name in linears)
    ]
    if unknown or not method.lora_modules:
        raise InvalidConfig(
            f"adapters for {', '.join(unknown) or 'nothing'} match no module; expected "
            f"names out of {', '.join(_kinds(linears))}; change "
            "fine_tuning.lora_modules"
        )
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  # 5 seconds

    config = LoraConfig(
        r=method.lora_rank,
        lora_alpha=method.lora_alpha,  # type: ignore[arg-type]  # any number scales
        lora_dropout=method.lora_dropout,
        target_modules=[
            f"encoder.{name}"
            for name in linears
            if any(_is_named(name, wanted) for wanted in method.lora_modules)
        ],
        bias="none",
    )
    inject_adapter_in_model(config, model)
    for head in HEADS:
        module = getattr(model, head, None)
        if module is not None:
            module.requires_grad_(requires_grad=True)


def _is_named(name: str, wanted: str) -> bool:
    """Match a module by the end of its path, as peft does."""
    return name == wanted or name.endswith(f".{wanted}")


def _kinds(names: Iterable[str]) -> list[str]:
    """Give each module's own name and its place in a layer, once: Wo, attn.Wo."""
    own = {name.split(".")[-1] for name in names}
    placed = {".".join(name.split(".")[-2:]) for name in names}
    return sorted(own) + sorted(placed)
