"""What a training starts from: its parent and its tokenizer."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from kompress.config import RecipeConfig
from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.checkpoint import unpack
from kompress.students.student import Student, load
from kompress.students.tokenizer import WordTokenizer, train_tokenizer
from kompress.training.texts import TrainText


def find_parent(
    init: Student | bytes | Path | None,
    recipe: RecipeConfig,
    tokenizer_json: bytes | None,
) -> Student | None:
    """Load the parent, whose sizes and tokenizer the child must share.

    Raises:
        InvalidCheckpoint: it is broken, or has other sizes or another tokenizer.
        InvalidConfig: a student whose engine holds no weights.
    """
    if init is None:
        return None
    if isinstance(init, Student):
        parent = init
    elif isinstance(init, bytes):
        with TemporaryDirectory() as folder:
            unpack(init, Path(folder))
            parent = load(folder)
    else:
        parent = load(init)
    name = parent.id[:12] or "given"
    if parent.config != recipe.student:
        raise InvalidCheckpoint(
            f"the parent {name} is {parent.config!r}; the recipe wants "
            f"{recipe.student!r}; expected equal sizes; start from scratch or change "
            "the recipe"
        )
    if tokenizer_json not in {None, parent.tokenizer.json}:
        raise InvalidCheckpoint(
            f"the parent {name} has another tokenizer than the one given; "
            "expected the parent's own; leave tokenizer_json out"
        )
    return parent


def find_tokenizer(
    texts: Sequence[TrainText],
    recipe: RecipeConfig,
    tokenizer_json: bytes | None,
    parent: Student | None,
) -> WordTokenizer:
    """Take the parent's tokenizer, the one given, or train one on the texts.

    Raises:
        InvalidConfig: it holds more tokens than the model.
    """
    if parent is not None:
        return parent.tokenizer
    if tokenizer_json is None:
        sources = (text.text for text in texts)
        tokenizer_json = train_tokenizer(sources, recipe.student.vocab_size)
    tokenizer = WordTokenizer(tokenizer_json)
    if tokenizer.vocab_size > recipe.student.vocab_size:
        raise InvalidConfig(
            f"the tokenizer holds {tokenizer.vocab_size} tokens, recipe.student."
            f"vocab_size is {recipe.student.vocab_size}; expected no more; raise it"
        )
    return tokenizer
