"""Loss on texts that are not trained on, and when to stop because of it."""

from collections.abc import Sequence

import torch

from kompress.config import RecipeConfig
from kompress.errors import InvalidText
from kompress.students.dual_head import DualHead
from kompress.students.token_head import TokenHead
from kompress.students.tokenizer import WordTokenizer
from kompress.training.inputs import TrunkCache, group_passes, lay_rows
from kompress.training.loss import batch_loss
from kompress.training.texts import Prepared, TrainText, prepare


def prepare_held_out(
    texts: Sequence[TrainText], recipe: RecipeConfig, tokenizer: WordTokenizer
) -> Prepared | None:
    """Tokenise the held-out texts; None where there are none and none are needed.

    Raises:
        InvalidText: labels that do not fit, no word or no weight in any of the texts,
            or early stopping without texts.
    """
    if not texts:
        if recipe.early_stop_patience is None:
            return None
        raise InvalidText(
            f"recipe.early_stop_patience is {recipe.early_stop_patience} and no text "
            "is held out; expected at least one; hold some out, or leave it out"
        )
    try:
        data = prepare(texts, recipe, tokenizer)
    except InvalidText as error:
        raise InvalidText(f"held-out texts: {error}") from error
    if not data.weight_T.any():
        raise InvalidText(
            f"{len(texts)} held-out texts weigh nothing; expected a weight above 0 "
            "somewhere; hold out texts that have labels"
        )
    return data


def measure(
    model: DualHead | TokenHead,
    data: Prepared | None,
    cache: TrunkCache | None,
    recipe: RecipeConfig,
    dtype: torch.dtype,
) -> float | None:
    """Give the loss without dropout, each token by its weight over all texts.

    Args:
        model: left in training mode.
        data: the held-out texts.
        cache: a frozen trunk's activations over them.
        recipe: the loss's parts.
        dtype: the precision of products.

    Returns:
        The mean over passes of about 4,096 tokens, weighted by their tokens' weights;
        None without texts.
    """
    if data is None:
        return None
    losses, weights = [], []
    model.eval()
    with torch.inference_mode():
        for chunks in group_passes(data.chunks.num_tokens_C):
            rows = lay_rows(model, data, chunks, cache)
            losses.append(batch_loss(model, rows, recipe, dtype))
            weights.append(rows.weight_R.sum())
        loss, weight = torch.stack(losses).double(), torch.stack(weights).double()
        mean = float((loss * weight).sum() / weight.sum())
    model.train()
    return mean
