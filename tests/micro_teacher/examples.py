"""What the micro-teacher learns from: prompts of both protocols and gold answers.

N = words of a chunk
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from kompress.teachers import make_protocol
from kompress.teachers.chunks import Chunk, split_chunks
from kompress.teachers.prompt import CRITERIA, delimiter_of
from kompress.teachers.protocol import ProtocolParams
from kompress.teachers.request import Capabilities, Request
from kompress.teachers.word_votes import DROP, KEEP
from kompress.types import ABSTAIN, CodeArray, Document
from kompress.words import join_kept
from tests.micro_teacher.params import CHUNK_WORDS, REWRITE, WORD_VOTES

PAD, SYSTEM, USER, ASSISTANT, END = "<pad>", "<sys>", "<user>", "<bot>", "<end>"
SPECIAL = [PAD, END, SYSTEM, USER, ASSISTANT]
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{{ {'system': '<sys>', 'user': '<user>', 'assistant': '<bot>'}[m.role] }}"
    "{{ m.content }}<end>"
    "{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)
_ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation as tokens.

    Attributes:
        prompt: token ids up to where the answer begins.
        answer: token ids of the answer, those to learn.
        shown: what stands in the context for each of them.
        is_known: which of them gold knows.
    """

    prompt: list[int]
    answer: list[int]
    shown: list[int]
    is_known: list[bool]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def make_tokenizer(documents: Sequence[Document], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE on documents and on the prompts around them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    numbers = [f"{gap}[{n}]" for n in range(1, CHUNK_WORDS + 1) for gap in ("", " ")]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(numbers),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    instructions = [
        request.system + "\n" + request.user.rsplit("\n", 1)[-1]
        for request, _ in _requests(Chunk(0, "word", 1), Random(0))
    ]
    texts = [document.text for document in documents]
    tokenizer.train_from_iterator(texts + instructions * len(texts), trainer)
    tokenizer.add_tokens(numbers)
    return tokenizer


def render(request: Request) -> str:
    """Lay a request out as the chat template does."""
    return f"{SYSTEM}{request.system}{END}{USER}{request.user}{END}{ASSISTANT}"


def make_examples(
    documents: Sequence[Document], tokenizer: Tokenizer, rng: Random
) -> Iterator[Example]:
    """Ask about each chunk by both protocols, with the answer that gold gives."""
    for document in documents:
        assert document.gold is not None
        # Short chunks first teach which letter is which word's.
        words = rng.choice([6, 12, 24, CHUNK_WORDS, CHUNK_WORDS, CHUNK_WORDS])
        for chunk in split_chunks(document.text, words):
            codes_N = document.gold.codes_N[chunk.start : chunk.end]
            for request, name in _requests(chunk, rng):
                prompt = tokenizer.encode(render(request)).ids
                if name == "word_votes":
                    yield _letters(prompt, codes_N, tokenizer, rng)
                else:
                    yield _reference(prompt, chunk, codes_N, tokenizer)


def _requests(chunk: Chunk, rng: Random) -> Iterator[tuple[Request, str]]:
    for params in (WORD_VOTES, REWRITE):
        criterion = rng.choice(sorted(CRITERIA))
        protocol = make_protocol(ProtocolParams(**params, criterion=criterion), _ALL)
        yield protocol.requests(chunk.text)[0], params["protocol"]


def _letters(
    prompt: list[int], codes_N: CodeArray, tokenizer: Tokenizer, rng: Random
) -> Example:
    keep, drop = (tokenizer.token_to_id(letter) for letter in (KEEP, DROP))
    answer = [keep if code else drop for code in codes_N]
    # Its own letters may be wrong: it must look at the words, not at those before.
    share = rng.choice([0.0, 0.1, 0.5])
    shown = [rng.choice([keep, drop]) if rng.random() < share else a for a in answer]
    known = [bool(code != ABSTAIN) for code in codes_N]
    return Example(prompt, answer, shown, known)


def _reference(
    prompt: list[int], chunk: Chunk, codes_N: CodeArray, tokenizer: Tokenizer
) -> Example:
    keep_N = codes_N == 254
    # What gold does not know goes with the word before it.
    for place in np.flatnonzero(codes_N == ABSTAIN):
        keep_N[place] = place > 0 and keep_N[place - 1]
    text = join_kept(chunk.text, keep_N) or delimiter_of(chunk.text)
    answer = [*tokenizer.encode(text).ids, tokenizer.token_to_id(END)]
    return Example(prompt, answer, answer, [True] * len(answer))
