"""A trained student: it scores words and compresses texts.

N = words of one text, T = tokens
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from kompress.config import StudentConfig, parse_config
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.metrics.keep_rate import keep_top
from kompress.must_keep.classify import classify_words
from kompress.students import checkpoint
from kompress.students.chunks import Chunks, cut_chunks
from kompress.students.dual_head import STUDENTS, DualHead
from kompress.students.heads import token_scores
from kompress.students.matmul import fast_matmul
from kompress.students.packed import Packing
from kompress.students.token_head import TokenHead
from kompress.students.tokenizer import WordTokenizer
from kompress.types import BoolArray, FloatArray
from kompress.words import join_kept, word_list

KEEP_THRESHOLD = 0.5  # the client's, on p·(0.5 + 0.5·s)
# Texts are tokenised in groups, so that memory does not grow with the corpus.
GROUP_TEXTS = 256
# Tokens a forward pass takes: 1,024 to 4,096 scored equally fast, 8,192 slower.
PACK_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Compressed:
    """A text as a student shortened it.

    Attributes:
        text: the kept words, joined by spaces, lines by newlines.
        keep_N: (N,) which words were kept.
        score_N: (N,) the scores behind it, in [0, 1].
    """

    text: str
    keep_N: BoolArray
    score_N: FloatArray


class Student:
    """A model with its tokenizer and its story.

    Attributes:
        id: sha256 of the checkpoint, '' before it is saved.
        config: the architecture's sizes.
        recipe: how it was trained, as plain data.
        lineage: parent, data and seed, as plain data.
        tokenizer: the student's own.
        model: the torch module, in eval mode.
    """

    def __init__(
        self,
        model: DualHead | TokenHead,
        tokenizer: WordTokenizer,
        *,
        recipe: dict[str, Any],
        lineage: dict[str, Any],
        student_id: str = "",
    ) -> None:
        """Put the parts together.

        Raises:
            InvalidCheckpoint: the tokenizer has more tokens than the model.
        """
        if tokenizer.vocab_size > model.config.vocab_size:
            raise InvalidCheckpoint(
                f"the tokenizer holds {tokenizer.vocab_size} tokens and the model "
                f"{model.config.vocab_size}; expected no more; use the tokenizer that "
                "the student was trained with"
            )
        self.id = student_id
        self.config = model.config
        self.recipe = recipe
        self.lineage = lineage
        self.tokenizer = tokenizer
        self.model = model.eval()

    def score(
        self,
        texts: Sequence[str],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> list[FloatArray]:
        """Score every word of every text.

        Args:
            texts: any texts, of any length.
            progress: called with the number of texts done so far.

        Returns:
            For each text (N,) float64 in [0, 1]: the maximum of p·(0.5 + 0.5·s) over
            the word's tokens.

        Source: headroom 0.42.0's keep rule; design §1.
        """
        scores: list[FloatArray] = []
        for first in range(0, len(texts), GROUP_TEXTS):
            group = [word_list(text) for text in texts[first : first + GROUP_TEXTS]]
            chunks = cut_chunks(group, self.tokenizer, self.config.max_tokens)
            scores += self._score_chunks(chunks)
            if progress is not None:
                progress(len(scores))
        return scores

    def compress(
        self,
        text: str,
        *,
        override: str | None = "headroom-0.42",
        keep_rate: float | None = None,
    ) -> Compressed:
        """Shorten a text by whole words.

        Args:
            text: any text.
            override: the rule set whose must-keep words stay whatever their score;
                None for the scores alone.
            keep_rate: keep this share of the words, the highest scores first. With an
                override its words come first and count towards the share; if they
                alone are more, all of them stay. None: keep scores above 0.5.

        Returns:
            The short text, the mask and the scores.

        Raises:
            InvalidConfig: unknown rule set, or a keep_rate outside [0, 1].

        Source: headroom 0.42.0; a rate together with an override: ours.
        """
        words = word_list(text)
        forced_N = np.zeros(len(words), dtype=np.bool_)
        if override is not None:
            forced_N = classify_words(words, override) != 0
        score_N = self.score([text])[0]
        if keep_rate is None:
            keep_N = score_N > KEEP_THRESHOLD
        else:
            keep_N = keep_top(np.where(forced_N, np.inf, score_N), keep_rate)
        keep_N = keep_N | forced_N
        return Compressed(join_kept(text, keep_N), keep_N, score_N)

    def save(self, folder: Path) -> str:
        """Write the student's folder and take its id.

        Returns:
            The id: sha256 over file names and contents, 64 hex digits.

        Raises:
            InvalidCheckpoint: the folder holds foreign files.
        """
        tensors = {
            name: tensor.contiguous()
            for name, tensor in self.model.state_dict().items()
        }
        files = {
            checkpoint.WEIGHTS: save_tensors(tensors, {"format": "pt"}),
            checkpoint.CONFIG: _to_json(self.config.model_dump(mode="json")),
            checkpoint.TOKENIZER: self.tokenizer.json,
            checkpoint.RECIPE: _to_json(self.recipe),
            checkpoint.LINEAGE: _to_json(self.lineage),
        }
        self.id = checkpoint.write_folder(Path(folder), files)
        return self.id

    def _score_chunks(self, chunks: Chunks) -> list[FloatArray]:
        token_score_T = np.empty(len(chunks.ids_T))
        begin = 0
        with torch.inference_mode(), fast_matmul():
            for lengths in _group(chunks.num_tokens_C.tolist()):
                end = begin + sum(lengths)
                packing = Packing(lengths, self.config)
                ids_R = packing.spread(chunks.ids_T[begin:end].astype(np.int64))
                score_R = token_scores(self.model(ids_R, packing))
                token_score_T[begin:end] = score_R.numpy()[packing.row_T]
                begin = end
        score = np.zeros(sum(chunks.num_words))
        scored_T = chunks.word_T >= 0
        np.maximum.at(score, chunks.word_T[scored_T], token_score_T[scored_T])
        return np.split(score, np.cumsum(chunks.num_words)[:-1])


def load(path: Path | str) -> Student:
    """Load a student's folder, every file verified.

    Args:
        path: the folder that `Student.save` or `train` wrote.

    Raises:
        InvalidCheckpoint: names missing, altered and foreign files, or what in them
            cannot be read.
    """
    folder = Path(path)
    student_id, files = checkpoint.read_folder(folder)
    try:
        plain = {
            name: json.loads(files[name])
            for name in (checkpoint.CONFIG, checkpoint.RECIPE, checkpoint.LINEAGE)
        }
        config = parse_config(StudentConfig, plain[checkpoint.CONFIG])
        tensors = load_tensors(files[checkpoint.WEIGHTS])
        with torch.random.fork_rng(devices=[]):
            model = STUDENTS[config.variant](config)
        model.load_state_dict(tensors)
    except (ValueError, InvalidConfig, SafetensorError, RuntimeError) as error:
        raise InvalidCheckpoint(
            f"{folder} cannot be loaded: {error}; expected a student of this farm"
        ) from error
    return Student(
        model,
        WordTokenizer(files[checkpoint.TOKENIZER]),
        recipe=plain[checkpoint.RECIPE],
        lineage=plain[checkpoint.LINEAGE],
        student_id=student_id,
    )


def _group(lengths: list[int]) -> list[list[int]]:
    """Pack chunks in their order into passes of about `PACK_TOKENS`."""
    groups: list[list[int]] = []
    room = 0
    for length in lengths:
        if not groups or length > room:
            groups.append([])
            room = PACK_TOKENS
        groups[-1].append(length)
        room -= length
    return groups


def _to_json(content: Any) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()
