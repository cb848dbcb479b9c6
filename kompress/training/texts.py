"""Labelled texts made ready for training: tokenised once, labels and weights a token.

N = words of one text, T = tokens of all chunks, C = chunks
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kompress.config import RecipeConfig
from kompress.errors import InvalidText
from kompress.must_keep.classify import classify_words
from kompress.students.chunks import Chunks, cut_chunks
from kompress.students.tokenizer import WordTokenizer
from kompress.types import FloatArray
from kompress.words import word_list


@dataclass(frozen=True, slots=True)
class TrainText:
    """One text with what a student shall learn about it.

    Attributes:
        text: the string.
        target_N: (N,) P(keep), hard or soft, in [0, 1].
        weight_N: (N,) how sure the label is, at least 0; 1 by default.
        document_weight: n/(N·π) of the document's sampling, above 0.
        quality: the document's quality on any scale, for the quality head.
        quality_se: its standard error, above 0; 1 by default.
    """

    text: str
    target_N: FloatArray
    weight_N: FloatArray | None = None
    document_weight: float = 1.0
    quality: float | None = None
    quality_se: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """All tokens of all texts, in the order of the texts.

    Attributes:
        chunks: the tokens and where chunks end.
        target_T: (T,) what the heads shall say of the token's word, so that the score
            is its P(keep); 0 where the weight is 0.
        weight_T: (T,) weight of the token's word; 0 for special tokens.
        quality_C: (C,) quality of the chunk's document; 0 where it has none.
        precision_C: (C,) 1/se² of that quality; 0 where it has none.
        digest: sha256 over tokens, targets, weights and qualities.
    """

    chunks: Chunks
    target_T: NDArray[np.float32]
    weight_T: NDArray[np.float32]
    quality_C: NDArray[np.float32]
    precision_C: NDArray[np.float32]
    digest: str


def prepare(
    texts: Sequence[TrainText], recipe: RecipeConfig, tokenizer: WordTokenizer
) -> Prepared:
    """Tokenise texts and spread their labels over tokens.

    A word's weight is its certainty x the must-keep weight (if it is a must-keep word
    that its target keeps) x its document's weight, which is clipped.

    Args:
        texts: the labelled texts.
        recipe: must-keep rule set and weight, and the clip of document weights.
        tokenizer: the student's.

    Raises:
        InvalidText: a text's targets or weights do not fit its words or their range;
            or no text has any word; or a quality is no number or its standard error
            not above 0.

    Source: document weights: design §9 "Sampling".
    """
    words = [word_list(text.text) for text in texts]
    labels = [
        _label(number, text, words[number], recipe) for number, text in enumerate(texts)
    ]
    if not any(map(len, words)):
        raise InvalidText(
            f"{len(texts)} texts hold no word at all; expected at least one text with "
            "words and labels; check the selection"
        )
    chunks = cut_chunks(words, tokenizer, recipe.student.max_tokens)
    target_N = np.concatenate([target for target, _ in labels])
    weight_N = np.concatenate([weight for _, weight in labels])
    scored_T = chunks.word_T >= 0
    target_T = np.where(scored_T, target_N[chunks.word_T], 0).astype(np.float32)
    weight_T = np.where(scored_T, weight_N[chunks.word_T], 0).astype(np.float32)
    pairs = [_quality(number, text) for number, text in enumerate(texts)]
    quality_C, precision_C = np.array(pairs, np.float32)[chunks.text_C].T.copy()
    parts = (target_T, weight_T, quality_C, precision_C)
    digest = hashlib.sha256()
    for part in (chunks.ids_T, chunks.end_C, *parts):
        digest.update(part.tobytes())
    return Prepared(chunks, *parts, digest.hexdigest())


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


def _quality(number: int, text: TrainText) -> tuple[float, float]:
    """Check one text's quality; give it and 1/se², zeros if it has none."""
    if text.quality is None:
        return 0.0, 0.0
    error = 1.0 if text.quality_se is None else text.quality_se
    if not (np.isfinite(text.quality) and 0 < error < np.inf):
        raise InvalidText(
            f"text {number} has quality {text.quality} with standard error {error}; "
            "expected a finite number and an error above 0; leave the quality out if "
            "it is not known"
        )
    return text.quality, 1 / error**2


def _label(
    number: int, text: TrainText, words: list[str], recipe: RecipeConfig
) -> tuple[FloatArray, FloatArray]:
    """Check one text's labels; give its (N,) targets and weights."""
    shape = (len(words),)
    target_N = np.asarray(text.target_N, dtype=np.float64)
    weight_N = np.ones(shape) if text.weight_N is None else np.asarray(text.weight_N)
    if target_N.shape != shape or weight_N.shape != shape:
        raise InvalidText(
            f"text {number} has {len(words)} words, {target_N.shape} targets and "
            f"{weight_N.shape} weights; expected one of each for every word of "
            "text.split()"
        )
    if not np.all((target_N >= 0) & (target_N <= 1)):
        raise InvalidText(
            f"text {number} has targets outside [0, 1]; expected P(keep); drop texts "
            "that have no label"
        )
    if not np.all((weight_N >= 0) & np.isfinite(weight_N)):
        raise InvalidText(
            f"text {number} has weights that are negative or not finite; expected "
            "certainties of 0 or more"
        )
    if not 0 < text.document_weight < np.inf:
        raise InvalidText(
            f"text {number} has document weight {text.document_weight}; expected a "
            "finite number above 0, n/(N·π)"
        )
    must_N = classify_words(words, recipe.must_keep_rule_set) != 0
    # The weight asks what the label keeps: it reads the target before the map below.
    factor_N = np.where(must_N & (target_N >= 0.5), recipe.must_keep_weight, 1.0)
    document_weight = min(text.document_weight, recipe.max_document_weight)
    return _for_heads(target_N, recipe), weight_N * factor_N * document_weight


def _for_heads(target_N: FloatArray, recipe: RecipeConfig) -> FloatArray:
    """Give what each head shall say so that the score is P(keep).

    A dual head scores p·(0.5 + 0.5·s). Heads that both say t would score below 0.5 up
    to t = .618, so they learn the t with t·(0.5 + 0.5·t) = P(keep); 0 and 1 stay.
    """
    if recipe.student.variant != "dual_head":
        return target_N
    return (np.sqrt(1 + 8 * target_N) - 1) / 2
