"""What all configs share: frozen models, ranges, and mistakes named in words."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kompress.errors import InvalidConfig

RuleSet = Literal["farm", "headroom-0.42", "kompress-r0"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
C = TypeVar("C", bound=BaseModel)


class Frozen(BaseModel):
    """A config: unknown keys, wrong types and numbers that are none are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def parse_config(model: type[C], data: dict[str, Any]) -> C:
    """Validate a config, naming every wrong key in words.

    Args:
        model: `LoopConfig`, `RoundConfig` or one of their parts.
        data: plain data, as read from TOML or JSON.

    Raises:
        InvalidConfig: one line a mistake: where, what was found, what was expected.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}; found {e['input']!r:.80}"
            if e["loc"]
            else e["msg"].removeprefix("Value error, ")
            for e in error.errors(include_url=False)
        ]
        raise InvalidConfig("\n".join(lines)) from error
