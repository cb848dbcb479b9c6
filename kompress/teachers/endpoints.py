"""Endpoints of models, from the operator's settings alone; never from a loop's config.

A TOML file, named by FARM_ENDPOINTS:

    [qwen]
    url = "http://gpu-3:8000/v1"
    models = ["qwen-72b"]
    forced_tokens = true            # `vllm serve`; leave out for a hosted model
    logprobs = true

    [hosted]
    url = "https://api.example.com/v1"
    models = ["large"]
    external = true                 # texts leave the farm: corpora need external_ok
    api_key_file = "/run/secrets/hosted"
    [hosted.prices.large]
    input = 3.0                     # USD per million tokens
    output = 15.0
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from kompress.errors import InvalidConfig
from kompress.teachers.request import Capabilities

Usd = Annotated[float, Field(ge=0.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Price(_Frozen):
    """USD per million tokens."""

    input: Usd
    output: Usd

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """Give the price of some tokens in USD."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


class Endpoint(_Frozen):
    """One OpenAI-compatible endpoint.

    Attributes:
        url: base URL, up to and with `/v1`; redirects are not followed.
        models: the names that voters may ask for.
        external: texts leave the farm, so a corpus must allow it and secrets are
            redacted.
        api_key_file: file that holds the key; None for none.
        forced_tokens: takes `allowed_token_ids`, `min_tokens` and `ignore_eos`.
        logprobs: gives log-probabilities of chat completions.
        samples: takes `n`.
        prefix_cache: keeps shared beginnings.
        max_concurrency: never more requests open at once, of all workers.
        request_timeout_s: seconds that one request may take.
        shard_deadline_s: seconds after which a shard's open questions are given up.
        prices: by model; a model without one costs nothing but time.
    """

    url: HttpUrl
    models: tuple[str, ...] = Field(min_length=1)
    external: bool = False
    api_key_file: Path | None = None
    forced_tokens: bool = False
    logprobs: bool = False
    samples: bool = True
    prefix_cache: bool = False
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    request_timeout_s: Annotated[float, Field(gt=0.0)] = 120.0
    shard_deadline_s: Annotated[float, Field(gt=0.0)] = 1_800.0
    prices: dict[str, Price] = Field(default_factory=dict)

    @property
    def capabilities(self) -> Capabilities:
        """What the operator says that it can do."""
        return Capabilities(
            forced_tokens=self.forced_tokens,
            logprobs=self.logprobs,
            samples=self.samples,
            prefix_cache=self.prefix_cache,
        )


_ENDPOINTS = TypeAdapter(dict[str, Endpoint])


def read_endpoints(path: Path | None) -> dict[str, Endpoint]:
    """Read the operator's endpoints; none without a file.

    Raises:
        InvalidConfig: the file is missing, no TOML, or an entry is wrong; keys are
            not shown.
    """
    if path is None:
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"FARM_ENDPOINTS names {path}, which cannot be read ({error}); expected a "
            "TOML file with a table for each endpoint"
        ) from error
    return parse_endpoints(data)


def parse_endpoints(data: Mapping[str, Any]) -> dict[str, Endpoint]:
    """Validate endpoints.

    Raises:
        InvalidConfig: one line a mistake: where, and what was expected.
    """
    try:
        return _ENDPOINTS.validate_python(dict(data))
    except ValidationError as error:
        lines = [
            f"endpoint {'.'.join(map(str, e['loc']))}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidConfig("\n".join(lines)) from error


def find_endpoint(endpoints: Mapping[str, Endpoint], name: str, model: str) -> Endpoint:
    """Give an endpoint that serves a model.

    Raises:
        InvalidConfig: the operator's settings have no such endpoint, or it does not
            serve the model.
    """
    endpoint = endpoints.get(name)
    if endpoint is None:
        known = ", ".join(sorted(endpoints)) or "none"
        raise InvalidConfig(
            f"no endpoint is called {name!r}; the file that FARM_ENDPOINTS names has: "
            f"{known}; add it there, on every machine, or correct the voter"
        )
    if model not in endpoint.models:
        raise InvalidConfig(
            f"endpoint {name!r} does not serve {model!r}; its models are "
            f"{', '.join(endpoint.models)}"
        )
    return endpoint
