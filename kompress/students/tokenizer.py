"""A student's own byte-level BPE: trained on a corpus, used as the client tokenises.

Words are `text.split()`, each tokenised by itself and without a leading space, which
is what `is_split_into_words=True` does in the deployed client.

N = words, V = different words, T = tokens
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from kompress.errors import InvalidCheckpoint, InvalidConfig

PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL_TOKENS = (PAD, UNK, CLS, SEP, MASK)
# 256 bytes and the special tokens: what a text needs when no merge was learnt.
MIN_VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)
MAX_VOCAB_SIZE = 65_536  # ids are stored as uint16


@dataclass(frozen=True, slots=True)
class WordTokens:
    """The tokens of a word list, without special tokens.

    Attributes:
        ids_T: (T,) token ids, word after word.
        num_tokens_N: (N,) tokens of each word, at least 1.
    """

    ids_T: NDArray[np.uint16]
    num_tokens_N: NDArray[np.int64]


class WordTokenizer:
    """Tokenise word lists by a `tokenizer.json`.

    Attributes:
        json: the bytes of `tokenizer.json`.
        vocab_size: tokens in the vocabulary, special ones included.
        cls_id: id of [CLS], which opens every chunk.
        sep_id: id of [SEP], which closes every chunk.
        pad_id: id of [PAD].
        max_token_bytes: the most bytes of a word that one token stands for; None where
            nothing bounds it, as in WordPiece, whose [UNK] stands for any word.
    """

    def __init__(self, tokenizer_json: bytes) -> None:
        """Read a tokenizer.

        Raises:
            InvalidCheckpoint: the bytes are no tokenizer.json, or one of the special
                tokens is missing, or the ids do not fit uint16.
        """
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
        except Exception as error:  # the Rust side raises bare Exception
            raise InvalidCheckpoint(
                f"tokenizer.json cannot be read ({error}); expected the JSON that the "
                "tokenizers library writes; restore the file or train a new one"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.json = tokenizer_json
        self.vocab_size: int = self._tokenizer.get_vocab_size()
        if self.vocab_size > MAX_VOCAB_SIZE:
            raise InvalidCheckpoint(
                f"tokenizer.json holds {self.vocab_size} tokens; expected at most "
                f"{MAX_VOCAB_SIZE}, so that ids fit two bytes"
            )
        self.cls_id = self._special(CLS)
        self.sep_id = self._special(SEP)
        self.pad_id = self._special(PAD)
        self._unk_id = self._special(UNK)
        self.max_token_bytes = self._find_longest()

    def encode(self, words: Sequence[str]) -> WordTokens:
        """Tokenise words, each different one once.

        Args:
            words: N words without white space, as `text.split()` gives them.

        Returns:
            Their tokens; a word that the tokenizer erases becomes one [UNK].
        """
        place: dict[str, int] = {}
        word_N = np.fromiter(
            (place.setdefault(word, len(place)) for word in words),
            dtype=np.int64,
            count=len(words),
        )
        encodings = self._tokenizer.encode_batch_fast(
            [_to_unicode(word) for word in place], add_special_tokens=False
        )
        ids = [encoding.ids or [self._unk_id] for encoding in encodings]
        num_tokens_V = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        flat = np.fromiter(
            (token for word in ids for token in word),
            dtype=np.uint16,
            count=int(num_tokens_V.sum()),
        )
        start_V = np.cumsum(num_tokens_V) - num_tokens_V
        num_tokens_N = num_tokens_V[word_N]
        # Token t of word n lies at start of n's spelling + t.
        first_N = np.cumsum(num_tokens_N) - num_tokens_N
        index_T = np.arange(num_tokens_N.sum()) + np.repeat(
            start_V[word_N] - first_N, num_tokens_N
        )
        return WordTokens(flat[index_T], num_tokens_N)

    def _find_longest(self) -> int | None:
        # In a byte-level vocabulary a character stands for a byte.
        is_bytewise = isinstance(self._tokenizer.model, models.BPE) and (
            "ByteLevel" in str(self._tokenizer.pre_tokenizer)
        )
        return max(map(len, self._tokenizer.get_vocab())) if is_bytewise else None

    def _special(self, token: str) -> int:
        token_id = self._tokenizer.token_to_id(token)
        if token_id is None:
            raise InvalidCheckpoint(
                f"tokenizer.json has no {token}; expected {', '.join(SPECIAL_TOKENS)}; "
                "use the tokenizer that the student was trained with"
            )
        return int(token_id)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> bytes:
    """Learn a byte-level BPE; equal texts give equal bytes, whatever their order.

    Args:
        texts: the training texts.
        vocab_size: the most tokens to hold, special ones and the 256 bytes included.

    Returns:
        The bytes of a `tokenizer.json` that `PreTrainedTokenizerFast` reads.

    Raises:
        InvalidConfig: vocab_size has no room for the bytes, or its ids no two bytes.

    Source: byte-level BPE, Radford et al. 2019 (GPT-2), section 2.2.
    """
    if not MIN_VOCAB_SIZE <= vocab_size <= MAX_VOCAB_SIZE:
        raise InvalidConfig(
            f"vocab_size is {vocab_size}; expected {MIN_VOCAB_SIZE}..{MAX_VOCAB_SIZE}"
        )
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        (_to_unicode(" ".join(text.split())) for text in texts), trainer
    )
    cls_id, sep_id = tokenizer.token_to_id(CLS), tokenizer.token_to_id(SEP)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, cls_id), (SEP, sep_id)],
    )
    return str(tokenizer.to_str()).encode()


def _to_unicode(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and UTF-8 cannot, by "?"."""
    return text.encode("utf-8", "replace").decode()
