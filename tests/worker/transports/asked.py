"""What the tests of an endpoint ask, and how."""

import json

from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Request

SPEC = ModelSpec(engine="openai", model="micro", endpoint="e")
FREE = Request("instruct", "text", max_tokens=8)
FORCED = Request("instruct", "text", max_tokens=3, choices=("K", "D"), logprobs=True)


def ask(transport, requests, *, tick=lambda: None, deadline_s=20.0):
    """All answers by place."""
    found = dict(transport.ask(requests, tick=tick, deadline_s=deadline_s))
    assert sorted(found) == list(range(len(requests)))
    return [found[place] for place in range(len(requests))]


def first(*replies):
    """Replies to the first requests; correct answers to all others."""
    return lambda number, body: replies[number] if number < len(replies) else None


def as_body(document):
    return json.dumps(document).encode()
