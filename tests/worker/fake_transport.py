"""A model that answers by a rule: the seam below `worker.asking`, where tests count."""

import threading
import time

from kompress.teachers.request import Answer, AskFailed, Capabilities, Sample
from worker.errors import EngineDied

EVERYTHING = Capabilities(
    forced_tokens=True, logprobs=True, samples=True, prefix_cache=True
)
KEEP = 0.75
INPUT_TOKENS = 10


def agree(request):
    """Answer K to every word, at P = 0.75; of other requests the text is `yes`."""
    tokens = request.max_tokens
    if not request.choices:
        return Answer((Sample("yes"),) * request.num_samples, INPUT_TOKENS, tokens)
    others = len(request.choices) - 1
    row = (KEEP, *((1 - KEEP) / others for _ in range(others)))
    sample = Sample(request.choices[0] * tokens, "length", (row,) * tokens)
    return Answer((sample,), INPUT_TOKENS, tokens)


def dies_at(word):
    """Make a rule by which a text with this word kills the engine."""

    def rule(request):
        if word in request.user:
            raise EngineDied(f"illegal memory access at {word!r}")
        return agree(request)

    return rule


def refuses(*, is_transient):
    """Make a rule by which nothing is answered."""
    return lambda request: AskFailed("no answer today", is_transient=is_transient)


class FakeTransport:
    """Answers in order by a rule, counts what it is asked, may wait for a gate."""

    capabilities = EVERYTHING

    def __init__(self, rule=agree):
        self.rule = rule
        self.asked = []
        self.slices = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False
        # Hooks of a test: called before each answer.
        self.before_answer = lambda number: None

    def ask(self, requests, *, tick, deadline_s):
        assert deadline_s >= 0
        self.slices.append(len(requests))
        for number, request in enumerate(requests):
            self.asked.append(request)
            while not self.gate.wait(0.01):
                tick()
            self.before_answer(number)
            tick()
            yield number, self.rule(request)

    def max_tokens(self, request):
        """Twice what it answers with."""
        return 2 * INPUT_TOKENS, 2 * request.max_tokens * request.num_samples

    def close(self):
        self.is_closed = True


def open_fake(transport):
    """What `Runtime.open_transport` is replaced by."""
    return lambda spec, settings, sessions, worker: transport


def until(condition, timeout_s=10.0):
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at, "it never came"
        time.sleep(0.005)
