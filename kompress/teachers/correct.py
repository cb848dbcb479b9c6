"""A stronger teacher corrects a draft: K or D for every word, as `word_votes` asks.

The draft is a student's compression; the words that it drops are shown struck out.
N = words of the text
"""

from dataclasses import replace
from typing import Any

from kompress.errors import VoteFailed
from kompress.teachers.chunks import Chunk
from kompress.teachers.prompt import prompt_hash
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Capabilities, Request, Sample
from kompress.teachers.word_votes import WordVotes
from kompress.types import BoolArray, FloatArray
from kompress.words import split_words

NAME = "correct"
# Changes whenever any prompt, or any vote read in an answer, would.
VERSION = "1"
# Angle or square brackets could make a control token of a word, `<s>` or `[INST]`.
MARK = "~~"

_DRAFT = (
    " Someone has struck out words as ~~word~~ and kept the others. Correct this: "
    "answer K for each word that should be kept, struck out or not, and D for the rest."
)


class Correct:
    """Asks for one letter a word of a text that shows what a draft drops.

    Questions, answers and fallbacks are those of `word_votes`; what the draft said is
    not mixed into the vote: a letter says what to keep, not what to change.
    """

    def __init__(self, params: ProtocolParams, capabilities: Capabilities) -> None:
        self._letters = WordVotes(params, capabilities)

    @property
    def parts(self) -> dict[str, Any]:
        """What of a voter's fingerprint is the protocol's."""
        letters = self._letters.parts
        return {
            **letters,
            "protocol": NAME,
            "version": f"{VERSION}/{letters['version']}",
            "prompt": prompt_hash(letters["prompt"], _DRAFT, MARK),
        }

    @property
    def num_samples(self) -> int:
        """Samples drawn for each chunk, see `WordVotes.num_samples`."""
        return self._letters.num_samples

    def ask(self, chunk: Chunk, draft_N: BoolArray | None) -> Request:
        """Ask about a chunk and its draft.

        Raises:
            VoteFailed: there is no draft.
        """
        if draft_N is None:
            raise VoteFailed(
                "the text has no draft to correct; the protocol correct needs a "
                "student: use it from the second round on",
                is_transient=True,
            )
        request = self._letters.ask(_strike(chunk, draft_N), None)
        return replace(request, system=request.system + _DRAFT)

    def read(self, chunk: Chunk, sample: Sample) -> FloatArray | BoolArray | str:
        """Read the letters, see `WordVotes.read`.

        Raises:
            VoteFailed: see `WordVotes.read`.
        """
        return self._letters.read(chunk, sample)


def _strike(chunk: Chunk, draft_N: BoolArray) -> Chunk:
    """Strike out the words that the draft drops."""
    pieces: list[str] = []
    last = 0
    for number, word in enumerate(split_words(chunk.text)):
        mark = "" if draft_N[number] else MARK
        pieces += [chunk.text[last : word.start], mark]
        pieces += [chunk.text[word.start : word.end], mark]
        last = word.end
    return replace(chunk, text="".join([*pieces, chunk.text[last:]]))
