"""The same question to the same weights has the same answer, whatever runs them."""

import numpy as np
import pytest
import torch

from kompress.corpora.generators import generate
from kompress.teachers import make_protocol
from kompress.teachers.protocol import ModelSpec, ProtocolParams
from kompress.teachers.request import Answer, Request
from tests.micro_teacher.params import HELD_OUT_SEED, WORD_VOTES
from tests.vllm.processes import SERVED
from worker.settings import WorkerSettings
from worker.transports.openai_endpoint import OpenAIEndpoint
from worker.transports.transformers_engine import TransformersEngine

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


@pytest.fixture(scope="module")
def requests(vllm_engine):
    protocol = make_protocol(ProtocolParams(**WORD_VOTES), vllm_engine.capabilities)
    documents = generate(8, HELD_OUT_SEED)
    return [r for document in documents for r in protocol.requests(document.text)]


@pytest.fixture(scope="module")
def by_vllm(vllm_engine, requests):
    return keeps(vllm_engine, requests)


@pytest.fixture
def endpoint(vllm_server, sessions, tmp_path):
    endpoints = tmp_path / "endpoints.toml"
    endpoints.write_text(
        f'[local]\nurl = "{vllm_server.url}"\nmodels = ["{SERVED}"]\n'
        "forced_tokens = true\nlogprobs = true\nsamples = true\n"
    )
    settings = WorkerSettings(
        database_url="postgresql://unused",
        broker_url="redis://unused",
        artifacts=str(tmp_path),
        endpoints=endpoints,
    )
    spec = ModelSpec("openai", SERVED, endpoint="local")
    transport = OpenAIEndpoint(spec, settings, sessions, "tester")
    yield transport
    transport.close()


@pytest.fixture
def local(transformers_spec, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    engine = TransformersEngine(transformers_spec, gpu_locks=tmp_path)
    yield engine
    engine.close()
    torch.set_num_threads(before)


def keeps(transport, requests):
    """Give P(keep) of every word of every request, in order."""
    answers = dict(transport.ask(requests, tick=lambda: None, deadline_s=300))
    assert all(isinstance(answer, Answer) for answer in answers.values()), answers
    return np.array(
        [
            probs[0]
            for place in range(len(requests))
            for probs in answers[place].samples[0].choice_probs
        ]
    )


def test_transformers_agrees_with_vllm(local, requests, by_vllm):
    found = keeps(local, requests)

    # The votes are not all one number: to agree on them means something.
    assert by_vllm.std() > 0.2
    np.testing.assert_allclose(found, by_vllm, atol=1e-3)


def test_vllm_serve_agrees_with_vllm_in_process(endpoint, requests, by_vllm):
    found = keeps(endpoint, requests)

    np.testing.assert_allclose(found, by_vllm, atol=1e-3)


def test_all_count_the_same_tokens(endpoint, local, vllm_engine, requests):
    asked = [*requests[:2], Request("Say.", "something", 12, temperature=0.7, seed=1)]
    found = [
        [(answers[n].input_tokens, len(answers[n].samples)) for n in range(3)]
        for t in (endpoint, local, vllm_engine)
        for answers in [dict(t.ask(asked, tick=lambda: None, deadline_s=300))]
    ]

    assert found[0] == found[1] == found[2]
    assert [local.max_tokens(r) for r in asked] == [
        vllm_engine.max_tokens(r) for r in asked
    ]
    assert [pair[0] for pair in found[0]] == [local.max_tokens(r)[0] for r in asked]
