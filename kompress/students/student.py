"""A trained student: it scores words and compresses texts. No torch is imported here.

N = words of one text, T = tokens
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays

from kompress.config import StudentConfig, parse_config
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.lines.from_words import keep_lines, line_budget
from kompress.metrics.keep_rate import keep_top
from kompress.must_keep.classify import classify_words
from kompress.pairs import Pairs, find_pairs
from kompress.students import checkpoint
from kompress.students.chunks import Chunks, cut_chunks
from kompress.students.engines.engine import Engine
from kompress.students.engines.registry import EXPORTED_GRAPHS, make_engine, open_graph
from kompress.students.tokenizer import WordTokenizer
from kompress.types import BoolArray, FloatArray
from kompress.words import join_kept, word_list

if TYPE_CHECKING:
    from kompress.students.model import StudentModel

KEEP_THRESHOLD = 0.5  # the client's, on p·(0.5 + 0.5·s)
OVERRIDE = "headroom-0.42"
# Texts are tokenised in groups, so that memory does not grow with the corpus.
GROUP_TEXTS = 256


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
    """A tokenizer and an engine with their story.

    Attributes:
        id: sha256 of the checkpoint, '' before it is saved.
        config: the architecture's sizes.
        recipe: how it was trained, as plain data.
        lineage: parent, data and seed, as plain data.
        tokenizer: the student's own.
        engine: what scores tokens.
    """

    def __init__(
        self,
        tokenizer: WordTokenizer,
        config: StudentConfig,
        engine: Engine,
        *,
        recipe: dict[str, Any],
        lineage: dict[str, Any],
        student_id: str = "",
    ) -> None:
        """Put the parts together.

        Raises:
            InvalidCheckpoint: the tokenizer has more tokens than the model.
        """
        if tokenizer.vocab_size > config.vocab_size:
            raise InvalidCheckpoint(
                f"the tokenizer holds {tokenizer.vocab_size} tokens and the model "
                f"{config.vocab_size}; expected no more; use the tokenizer that "
                "the student was trained with"
            )
        self.id = student_id
        self.config = config
        self.recipe = recipe
        self.lineage = lineage
        self.tokenizer = tokenizer
        self.engine = engine

    @classmethod
    def from_model(
        cls,
        model: "StudentModel",
        tokenizer: WordTokenizer,
        *,
        recipe: dict[str, Any],
        lineage: dict[str, Any],
        student_id: str = "",
    ) -> "Student":
        """Make a student of a torch module, which is put in eval mode.

        Raises:
            InvalidCheckpoint: the tokenizer has more tokens than the model.
        """
        from kompress.students.engines.torch_engine import (  # noqa: PLC0415  # loads torch
            TorchEngine,
        )

        return cls(
            tokenizer,
            model.config,
            TorchEngine(model),
            recipe=recipe,
            lineage=lineage,
            student_id=student_id,
        )

    @property
    def model(self) -> "StudentModel":
        """The torch module.

        Raises:
            InvalidConfig: another engine than torch scores.
        """
        model: StudentModel | None = getattr(self.engine, "model", None)
        if model is None:
            raise InvalidConfig(
                f"the student scores with {self.engine.name}, which has no module; "
                'expected the torch engine; load it with engine="torch"'
            )
        return model

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

    def score_by_parts(self, text: str, max_tokens: int) -> Iterator[FloatArray]:
        """Score a long text part by part, for a caller with others to see to.

        Args:
            text: any text.
            max_tokens: of a part, which has one chunk at least.

        Yields:
            (N,) float64 as `score` gives it, NaN for the words of later parts; the last
            has none. A text without words yields nothing.
        """
        chunks = cut_chunks([word_list(text)], self.tokenizer, self.config.max_tokens)
        score_N = np.full(chunks.num_words[0], np.nan)
        for part in chunks.parts(max_tokens):
            self._score_words(score_N, part)
            yield score_N.copy()

    def compress(
        self,
        text: str,
        *,
        override: str | None = OVERRIDE,
        keep_rate: float | None = None,
        pairs: bool = True,
        unit: Literal["word", "line"] = "word",
        max_tokens: float | None = None,
        markers: bool = False,
    ) -> Compressed:
        """Shorten a text by whole words, or by whole lines.

        Args:
            text: any text.
            override: the rule set whose must-keep words stay whatever their score;
                None for the scores alone.
            keep_rate: keep this share of the words, the highest scores first. With an
                override its words come first and count towards the share; if they
                alone are more, all of them stay. None: keep scores above 0.5.
            pairs: keys and values live or die together (`kompress.pairs`); False
                judges every word alone, as the deployed client does.
            unit: "line" keeps lines whole or not at all, byte for byte; no override
                and no pair forces one, and each failure goes before anything else.
            max_tokens: of lines only: at most so many characters / 4. Without it
                keep_rate is the share of the text's characters.
            markers: of lines only: say in place of each gap what is missing.

        Returns:
            The short text, the mask and the scores.

        Raises:
            InvalidConfig: unknown rule set, a keep_rate outside [0, 1], lines
                without a budget, or a budget for words.

        Source: headroom 0.42.0; a rate together with an override, and lines: ours.
        """
        if unit == "line":
            limit = line_budget(text, keep_rate=keep_rate, max_tokens=max_tokens)
            (score_N,) = self.score([text])
            kept = keep_lines(text, score_N, max_tokens=limit, markers=markers)
            return Compressed(kept.text, kept.keep_N, score_N)
        if max_tokens is not None or markers:
            raise InvalidConfig(
                f"max_tokens is {max_tokens} and markers {markers} where words are "
                'kept; expected these for whole lines alone; set unit="line"'
            )
        return self.compress_all(
            [text], override=override, keep_rate=keep_rate, pairs=pairs
        )[0]

    def compress_all(
        self,
        texts: Sequence[str],
        *,
        override: str | None = OVERRIDE,
        keep_rate: float | None = None,
        per: Literal["text", "corpus"] = "text",
        pairs: bool = True,
    ) -> list[Compressed]:
        """Shorten many texts by whole words.

        Args:
            texts: any texts.
            override: as in `compress`.
            keep_rate: as in `compress`.
            per: "text" meets keep_rate in every text; "corpus" keeps that share of all
                words together, the highest scores first wherever they stand, so that
                dense texts keep more and chatty ones less. Ties go to the earlier.
            pairs: as in `compress`.

        Returns:
            One short text, mask and scores for each text, in order.

        Raises:
            InvalidConfig: unknown rule set, `per` or a keep_rate outside [0, 1].

        Source: design §1 "Exactly"; the ranking over a corpus: ours.
        """
        if per not in {"text", "corpus"}:
            raise InvalidConfig(f'per is {per!r}; expected "text" or "corpus"')
        forced = [_forced(text, override) for text in texts]
        scores = self.score(texts)
        bound = [find_pairs(text) if pairs else Pairs() for text in texts]
        ranks = _rank_first(forced, scores)
        ranks = [each.rank(rank_N) for each, rank_N in zip(bound, ranks, strict=True)]
        if keep_rate is None:
            keeps = [rank_N > KEEP_THRESHOLD for rank_N in ranks]
        elif per == "text":
            keeps = [keep_top(rank_N, keep_rate) for rank_N in ranks]
        else:
            keeps = _split(keep_top(np.concatenate([[], *ranks]), keep_rate), scores)
        masks = [
            each.settle(keep_N | (rank_N == np.inf), rank_N == np.inf)
            for each, keep_N, rank_N in zip(bound, keeps, ranks, strict=True)
        ]
        return [
            Compressed(join_kept(text, keep_N), keep_N, score_N)
            for text, keep_N, score_N in zip(texts, masks, scores, strict=True)
        ]

    def save(self, folder: Path) -> str:
        """Write the student's folder and take its id.

        Returns:
            The id: sha256 over file names and contents, 64 hex digits.

        Raises:
            InvalidConfig: another engine than torch scores: it holds no weights.
            InvalidCheckpoint: the folder holds foreign files.
        """
        from safetensors.torch import save as save_tensors  # noqa: PLC0415  # loads torch

        tensors = {
            name: tensor.contiguous()
            for name, tensor in self.model.state_dict().items()
        }
        files = {
            checkpoint.WEIGHTS: save_tensors(tensors, {"format": "pt"}),
            checkpoint.CONFIG: checkpoint.to_json(self.config.model_dump(mode="json")),
            checkpoint.TOKENIZER: self.tokenizer.json,
            checkpoint.RECIPE: checkpoint.to_json(self.recipe),
            checkpoint.LINEAGE: checkpoint.to_json(self.lineage),
        }
        self.id = checkpoint.write_folder(Path(folder), files)
        return self.id

    def _score_chunks(self, chunks: Chunks) -> list[FloatArray]:
        score = np.zeros(sum(chunks.num_words))
        if len(chunks.ids_T):
            self._score_words(score, chunks)
        return np.split(score, np.cumsum(chunks.num_words)[:-1])

    def _score_words(self, score_N: FloatArray, chunks: Chunks) -> None:
        """Set the scores of the chunks' words: the maximum over each one's tokens."""
        token_T = self.engine.score_tokens(chunks.ids_T, chunks.num_tokens_C)
        scored_T = chunks.word_T >= 0
        words = chunks.word_T[scored_T]
        score_N[words] = 0.0
        np.maximum.at(score_N, words, token_T[scored_T])


def load(path: Path | str, *, engine: str = "torch") -> Student:
    """Load a student's folder, every file verified.

    Args:
        path: the folder that `Student.save` or `train` wrote, or an exported one,
            whose own ONNX files serve the engines "onnx" and "onnx-int8".
        engine: what will score: a key of `kompress.students.engines.registry.ENGINES`.

    Raises:
        InvalidConfig: no engine is called that.
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
        weights = load_arrays(files[checkpoint.WEIGHTS])
        tokenizer = WordTokenizer(files[checkpoint.TOKENIZER])
    except (ValueError, InvalidConfig, SafetensorError) as error:
        raise InvalidCheckpoint(
            f"{folder} cannot be loaded: {error}; expected a student of this farm"
        ) from error
    try:
        scorer = _open_exported(folder, engine) or make_engine(engine, config, weights)
    except InvalidCheckpoint as error:
        raise InvalidCheckpoint(f"{folder} cannot be loaded: {error}") from error
    return Student(
        tokenizer,
        config,
        scorer,
        recipe=plain[checkpoint.RECIPE],
        lineage=plain[checkpoint.LINEAGE],
        student_id=student_id,
    )


def _open_exported(folder: Path, engine: str) -> Engine | None:
    """Open the graph that an export wrote, if the engine runs one and it is there."""
    path = None
    if engine in EXPORTED_GRAPHS:
        path = checkpoint.find_exported(folder, EXPORTED_GRAPHS[engine])
    return None if path is None else open_graph(engine, path)


def _forced(text: str, override: str | None) -> BoolArray:
    """Say which words the override keeps."""
    words = word_list(text)
    if override is None:
        return np.zeros(len(words), dtype=np.bool_)
    must_N: BoolArray = classify_words(words, override) != 0
    return must_N


def _rank_first(
    forced: Sequence[BoolArray], scores: Sequence[FloatArray]
) -> list[FloatArray]:
    """Put forced words before all others."""
    return [
        np.where(forced_N, np.inf, score_N)
        for forced_N, score_N in zip(forced, scores, strict=True)
    ]


def _split(keep: BoolArray, scores: Sequence[FloatArray]) -> list[BoolArray]:
    """Cut a mask over all texts into the texts' masks."""
    ends = np.cumsum([len(score_N) for score_N in scores], dtype=np.int64)
    return np.split(keep, ends[:-1])[: len(scores)]
