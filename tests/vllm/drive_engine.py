"""VllmEngine in vLLM's own environment: one JSON command a line in, answers out.

Run by tests/vllm/processes.py with FOLDER SPEC; nothing else may write to stdout.
"""

import base64
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, Request
from worker.transports.transport import Transport


class Stopped(Exception):
    """What a command's tick raises."""


def main() -> None:
    """Load the model, then answer commands until stdin ends."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    # vLLM and its processes print to the log; stdout is for answers alone.
    os.dup2(2, 1)
    from worker.transports.vllm_engine import VllmEngine

    engine = VllmEngine(
        ModelSpec(**json.loads(sys.argv[2])), gpu_locks=Path(sys.argv[1])
    )
    print(json.dumps({"end": "ready"}), file=out)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            for message in DO[command.pop("do")](engine, **command):
                print(json.dumps(message), file=out)
            print(json.dumps({"end": "done"}), file=out)
        except Exception as error:  # noqa: BLE001  # told at the other end
            end = {"end": type(error).__name__, "error": str(error)}
            print(json.dumps(end), file=out)
    engine.close()


def ask(engine: Transport, requests, deadline_s, ticks):
    """Answer; the tick after the first `ticks` raises Stopped."""
    left = [ticks]

    def tick():
        if left[0] == 0:
            raise Stopped("the tick raised")
        left[0] -= 1

    asked = [Request(**{**r, "choices": tuple(r["choices"])}) for r in requests]
    for place, answer in engine.ask(asked, tick=tick, deadline_s=deadline_s):
        if isinstance(answer, Answer):
            body = base64.b64encode(answer.to_bytes()).decode()
            tokens = [answer.input_tokens, answer.output_tokens]
            yield {"place": place, "body": body, "tokens": tokens}
        else:
            yield {"place": place, "failed": asdict(answer)}


def max_tokens(engine: Transport, request):
    """Bound one request's tokens."""
    request = Request(**{**request, "choices": tuple(request["choices"])})
    yield {"value": engine.max_tokens(request)}


def num_open(engine):
    """Count the requests that vLLM still has."""
    yield {"value": engine._engine.get_num_unfinished_requests()}


def kill(engine):
    """Shut down what computes, below vLLM's own engine."""
    engine._engine.engine_core.shutdown()
    yield {"value": True}


DO = {"ask": ask, "max_tokens": max_tokens, "num_open": num_open, "kill": kill}

if __name__ == "__main__":
    main()
