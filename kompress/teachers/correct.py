"""A stronger teacher corrects a draft: K or D for every word, as `word_votes` asks.

The draft is a student's compression; the words that it drops are shown struck out.
N = words of the text
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kompress.errors import VoteFailed
from kompress.teachers.chunks import Chunk, number_words, split_chunks
from kompress.teachers.prompt import delimit, prompt_hash
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Answer, Capabilities, Request
from kompress.teachers.word_votes import WordVotes
from kompress.types import BoolArray, Vote
from kompress.words import split_words, word_list

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

    Requests, answers and fallbacks are those of `word_votes`.

    Source: ours.
    """

    def __init__(self, params: ProtocolParams, capabilities: Capabilities) -> None:
        self._params = params
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

    def requests(
        self, text: str, *, draft_N: BoolArray | None = None, seed: int = 0
    ) -> tuple[Request, ...]:
        """Ask about each chunk of a text and its draft.

        Args:
            text: the shown text.
            draft_N: (N,) which words the draft keeps.
            seed: of the sampling, where there is any.

        Returns:
            The requests, in an order that `read` expects.

        Raises:
            VoteFailed: there is no draft, or it is of another text.

        Source: ours.
        """
        num_words = len(word_list(text))
        if num_words and draft_N is None:
            raise VoteFailed(
                "the text has no draft to correct; the protocol correct needs a "
                "student: use it from the second round on",
                is_transient=True,
            )
        if draft_N is not None and draft_N.shape != (num_words,):
            raise VoteFailed(
                f"the draft has shape {draft_N.shape}; expected ({num_words},), one "
                "entry for each word of the text"
            )
        requests = self._letters.requests(text, seed=seed)
        chunks = split_chunks(text, self._params.chunk_words)
        each = len(requests) // max(len(chunks), 1)
        return tuple(
            self._with_draft(request, chunks[number // each], draft_N)
            for number, request in enumerate(requests)
        )

    def read(
        self,
        text: str,
        answers: Sequence[Answer],
        *,
        draft_N: BoolArray | None = None,
    ) -> Vote:
        """Read P(keep) of every word; what the draft said is not mixed in.

        Args:
            text: the shown text of N words.
            answers: one for each request, in order.
            draft_N: not looked at: a letter says what to keep, not what to change.

        Returns:
            The vote, see `WordVotes.read`.

        Raises:
            VoteFailed: see `WordVotes.read`.

        Source: ours.
        """
        del draft_N
        return self._letters.read(text, answers)

    def references(self, text: str, answers: Sequence[Answer]) -> list[BoolArray]:
        """Give the masks that the answers stand for, see `WordVotes.references`.

        Raises:
            VoteFailed: see `WordVotes.read`.

        Source: ours.
        """
        return self._letters.references(text, answers)

    def _with_draft(
        self, request: Request, chunk: Chunk, draft_N: BoolArray | None
    ) -> Request:
        """Show the draft in place of the plain text; the last line stays."""
        if draft_N is None:
            return request
        struck = _strike(chunk, draft_N)
        shown = delimit(number_words(struck, self._params.number_every))
        _, _, last = request.user.rpartition("\n")
        return replace(request, system=request.system + _DRAFT, user=f"{shown}\n{last}")


def _strike(chunk: Chunk, draft_N: BoolArray) -> Chunk:
    """Strike out the words that the draft drops."""
    pieces: list[str] = []
    last = 0
    for number, word in enumerate(split_words(chunk.text), start=chunk.start):
        mark = "" if draft_N[number] else MARK
        pieces += [chunk.text[last : word.start], mark]
        pieces += [chunk.text[word.start : word.end], mark]
        last = word.end
    return replace(chunk, text="".join([*pieces, chunk.text[last:]]))
