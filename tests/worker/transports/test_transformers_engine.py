import numpy as np
import pytest
import torch

from kompress.errors import InvalidConfig
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, AskFailed, Request
from tests.micro_teacher.params import FOLDER
from worker.errors import EngineDied, Interrupted
from worker.transports.transformers_engine import TransformersEngine

TEXT = "one two three four five six seven"


@pytest.fixture(scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engine(one_thread, tmp_path_factory):
    spec = ModelSpec("transformers", str(FOLDER), max_model_tokens=1_024)
    engine = TransformersEngine(spec, gpu_locks=tmp_path_factory.mktemp("locks"))
    yield engine
    engine.close()


def ask(engine, *requests, tick=lambda: None, deadline_s=60):
    return dict(engine.ask(requests, tick=tick, deadline_s=deadline_s))


def forced(num_words, user=TEXT, **options):
    return Request(
        "Keep or drop.", user, num_words, choices=("K", "D"), logprobs=True, **options
    )


def test_every_token_is_a_choice_and_there_are_exactly_as_many_as_asked(engine):
    answers = ask(engine, *[forced(n) for n in (1, 7, 30)])

    for place, n in enumerate((1, 7, 30)):
        [sample] = answers[place].samples
        assert len(sample.text) == len(sample.choice_probs) == n
        np.testing.assert_allclose(np.sum(sample.choice_probs, axis=1), 1)
        assert answers[place].output_tokens == n


def test_the_first_tokens_probabilities_are_the_models(engine):
    request = forced(1)
    prompt = torch.tensor([engine._chat.prompt(request)])
    ids = engine._chat.choice_ids(("K", "D"))

    with torch.inference_mode():
        logits_V = engine._model(prompt).logits[0, -1]
    expected = logits_V[ids].double().softmax(0)
    [sample] = ask(engine, request)[0].samples

    np.testing.assert_allclose(sample.choice_probs[0], expected, atol=1e-6)


def test_an_answer_does_not_depend_on_its_batch(engine):
    requests = [forced(12, user=f"{TEXT} " * n) for n in (1, 2, 5)]
    together = ask(engine, *requests)

    for place, request in enumerate(requests):
        [alone] = ask(engine, request)[0].samples
        np.testing.assert_allclose(
            alone.choice_probs, together[place].samples[0].choice_probs, atol=1e-5
        )


def test_free_text_is_what_transformers_itself_generates(engine):
    request = Request("Write.", TEXT, 16)
    prompt = torch.tensor([engine._chat.prompt(request)])

    out = engine._model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=16,
        do_sample=False, pad_token_id=0,
    )  # fmt: skip
    expected = engine._chat.decode(out[0, prompt.shape[1] :].tolist())
    [answer] = ask(engine, request).values()

    assert answer.samples[0].text == expected


def test_samples_differ_and_come_again_with_their_seed_in_any_batch(engine):
    request = Request("Write.", TEXT, 12, num_samples=4, temperature=1.0, seed=5)
    alone = ask(engine, request)[0]
    beside = ask(engine, Request("Write.", TEXT * 3, 12), request)[1]

    assert len({sample.text for sample in alone.samples}) > 1
    assert alone == beside


def test_samples_are_drawn_as_often_as_they_are_likely(engine):
    [cold] = ask(engine, forced(1))[0].samples
    warm = forced(1, num_samples=64, temperature=1.0)
    drawn = [
        sample.text
        for seed in range(8)
        for sample in ask(engine, Request(**{**fields(warm), "seed": seed}))[0].samples
    ]

    # 512 draws: 5 standard deviations of a share are at most 0.11.
    share = drawn.count("K") / len(drawn)
    assert share == pytest.approx(cold.choice_probs[0][0], abs=0.11)


def test_samples_at_temperature_0_are_computed_once(engine):
    answer = ask(engine, Request("Write.", TEXT, 4, num_samples=3))[0]

    assert len(answer.samples) == 3
    assert answer.output_tokens <= 4


def test_a_prompt_that_is_too_long_fails_alone_and_for_good(engine):
    answers = ask(engine, forced(7, user="word " * 2_000), forced(7))

    assert isinstance(answers[0], AskFailed)
    assert not answers[0].is_transient
    assert isinstance(answers[1], Answer)


def test_a_tick_that_raises_ends_the_asking(engine):
    def stop():
        raise Interrupted("drained")

    with pytest.raises(Interrupted):
        ask(engine, forced(7), tick=stop)
    assert len(ask(engine, forced(7))) == 1


def test_what_is_late_can_be_asked_again(engine):
    answers = ask(engine, forced(7), forced(9), deadline_s=0)

    assert [a.is_transient for a in answers.values()] == [True, True]


def test_a_batch_too_large_for_the_device_is_halved(engine, monkeypatch):
    forward = engine._forward

    def small(input_BT, mask_BP, cache):
        if len(input_BT) > 1:
            raise torch.OutOfMemoryError("a small device")
        return forward(input_BT, mask_BP, cache)

    expected = ask(engine, *[forced(5, user=f"{TEXT} {n}") for n in range(3)])
    monkeypatch.setattr(engine, "_forward", small)
    found = ask(engine, *[forced(5, user=f"{TEXT} {n}") for n in range(3)])
    alone = ask(engine, Request("W.", TEXT, 3, num_samples=2, temperature=1.0))[0]

    for place in range(3):
        assert found[place].samples[0].text == expected[place].samples[0].text
    assert isinstance(alone, AskFailed)
    assert not alone.is_transient


def test_a_device_that_fails_is_dead_ever_after(one_thread, tmp_path):
    spec = ModelSpec("transformers", str(FOLDER))
    engine = TransformersEngine(spec, gpu_locks=tmp_path)
    engine._model.lm_head = torch.nn.Linear(3, 3)  # takes nothing of this model's

    for _ in range(2):
        with pytest.raises(EngineDied, match="the process must restart"):
            ask(engine, forced(1))
    engine.close()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ModelSpec("transformers", "/no/such/folder"), "cannot be loaded"),
        (ModelSpec("transformers", str(FOLDER), gpus=2), "found gpus = 2"),
    ],
)
def test_a_model_that_cannot_be_held_is_a_mistake_in_the_settings(
    spec, message, tmp_path
):
    with pytest.raises(InvalidConfig, match=message):
        TransformersEngine(spec, gpu_locks=tmp_path)


def fields(request):
    return {name: getattr(request, name) for name in Request.__dataclass_fields__}
