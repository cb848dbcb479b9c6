"""Lay out a request as the tokens that a local model reads.

The document is data: where its text spells one of the tokenizer's special tokens, it
is tokenized as plain characters and cannot end the prompt.
"""

from collections import OrderedDict
from typing import Any

import jinja2

from kompress.errors import InvalidConfig
from kompress.teachers.request import Request

# Stands for a message in the rendered template; no text of ours holds a NUL.
_MARK = "\x00{}\x00"
# A shard is counted before it is asked: the prompts are kept that long.
MAX_KEPT = 2_048


class ChatTokenizer:
    """A model's own tokenizer and chat template.

    Args:
        tokenizer: of transformers, loaded.
        max_model_tokens: context length, prompt and answer together.
    """

    def __init__(self, tokenizer: Any, max_model_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_model_tokens = max_model_tokens
        self._special = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if token.special
        ]
        self._kept: OrderedDict[tuple[str, str], list[int]] = OrderedDict()
        self._choices: dict[tuple[str, ...], list[int]] = {}

    def prompt(self, request: Request) -> list[int]:
        """Give the prompt's token ids."""
        key = (request.system, request.user)
        if key not in self._kept:
            self._kept[key] = self._encode(request)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def refusal(self, request: Request) -> str | None:
        """Say why the model cannot be asked this; None if it can."""
        num_tokens = len(self.prompt(request))
        if num_tokens + request.max_tokens <= self._max_model_tokens:
            return None
        return (
            f"the prompt has {num_tokens} tokens and its answer up to "
            f"{request.max_tokens}; expected at most {self._max_model_tokens} "
            "together; raise the voter's `max_model_tokens`, or ask in smaller chunks"
        )

    def max_tokens(self, request: Request) -> tuple[int, int]:
        """Give the exact input tokens and the most output tokens of a request."""
        return len(self.prompt(request)), request.max_tokens * request.num_drawn

    def choice_ids(self, choices: tuple[str, ...]) -> list[int]:
        """Give each choice's token.

        Raises:
            InvalidConfig: a choice is not one token of its own.
        """
        if choices not in self._choices:
            tokens = [
                self._tokenizer.encode(choice, add_special_tokens=False)
                for choice in choices
            ]
            ids = [token[-1] for token in tokens if len(token) == 1]
            if len(set(ids)) != len(choices):
                raise InvalidConfig(
                    f"the model's tokenizer writes the choices {choices} as {tokens}; "
                    "expected a token of its own for each; take another model, or a "
                    "protocol that does not force tokens (`rewrite`)"
                )
            self._choices[choices] = ids
        return self._choices[choices]

    def decode(self, token_ids: list[int]) -> str:
        """Give the text of an answer's tokens, without special ones."""
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True)
        return text

    def _encode(self, request: Request) -> list[int]:
        """Tokenize the rendered prompt, the messages alone if they look special."""
        system, user = request.system, request.user
        if not any(token in system or token in user for token in self._special):
            return self._plain(self._render(system, user))
        ids: list[int] = []
        # The template's own pieces, with a message between each two.
        rendered = self._render(_MARK.format("system"), _MARK.format("user"))
        for number, piece in enumerate(rendered.split("\x00")):
            if number % 2 == 0:
                ids += self._plain(piece)
                continue
            ids += self._tokenizer.encode(
                {"system": system, "user": user}[piece],
                add_special_tokens=False,
                split_special_tokens=True,
            )
        return ids

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _render(self, system: str, user: str) -> str:
        """Fill the template; a model without one reads plain paragraphs."""
        if not self._tokenizer.chat_template:
            return f"{system}\n\n{user}\n\n"
        try:
            return self._fill({"system": system, "user": user})
        except jinja2.TemplateError:
            # Gemma, some of Mistral: no place for an instruction but the user's.
            return self._fill({"user": f"{system}\n\n{user}"})

    def _fill(self, messages: dict[str, str]) -> str:
        rendered: str = self._tokenizer.apply_chat_template(
            [{"role": role, "content": text} for role, text in messages.items()],
            tokenize=False,
            add_generation_prompt=True,
            # Thoughts would be read as the answer; only templates that think look.
            enable_thinking=False,
        )
        return rendered


def context_length(config: Any, wanted: int) -> int:
    """Bound the wanted context by what a model was made for."""
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min(wanted, longest) if longest else wanted
