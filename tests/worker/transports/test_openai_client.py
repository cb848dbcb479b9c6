import logging
import traceback

import pytest

from kompress.errors import InvalidConfig
from kompress.teachers.request import Request
from tests.worker.transports.asked import FORCED, FREE, as_body, ask
from tests.worker.transports.endpoint_server import Reply, running_server

KEY = "sk-very-secret-0123456789"


def test_a_hosted_endpoint_is_sent_nothing_that_only_vllm_takes(connect, server):
    transport = connect(forced_tokens=False, logprobs=False)

    (answer,) = ask(transport, [FREE])

    assert answer.samples[0].text == "echo text"
    assert set(server.bodies[0]) == {"model", "messages", "max_tokens", "temperature"}


def test_choices_are_looked_up_once(connect, server):
    transport = connect()

    ask(transport, [FORCED] * 20)
    ask(transport, [FORCED] * 20)

    assert server.paths.count("/tokenize") == 2


def test_a_choice_that_is_no_single_token_is_refused_by_name(connect):
    odd = Request("s", "u", max_tokens=1, choices=("K", "keep"), logprobs=True)

    with pytest.raises(InvalidConfig, match=r"'micro' at endpoint 'e'.*\[1, 2\]"):
        ask(connect(), [odd])


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_request_that_is_refused_for_good_says_why(connect, server, status):
    why = as_body({"error": {"message": "maximum context length is 2048 " + "x" * 500}})
    server.decide = lambda *_: Reply(status, body=why)

    (failed,) = ask(connect(), [FREE])

    assert not failed.is_transient
    assert "maximum context length is 2048" in failed.error
    assert len(failed.error) < 300
    assert server.num_asked == 1


def test_a_redirect_is_never_followed(connect, server):
    with running_server() as elsewhere:
        server.decide = lambda *_: Reply(
            307, headers={"Location": f"{elsewhere.url}/chat/completions"}
        )

        with pytest.raises(InvalidConfig, match="'e' answered 307, a redirect"):
            ask(connect(), [FREE] * 3)

        assert elsewhere.paths == []


@pytest.mark.slow
def test_the_key_is_sent_and_never_told(connect, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    echo = as_body({"error": {"message": f"Incorrect API key: {KEY}"}})
    # One that refuses it, one that is broken, one that does not like the request.
    said = []
    for status in (401, 403):
        server.decide = lambda *_, status=status: Reply(status, body=echo)
        with pytest.raises(InvalidConfig, match=str(file)) as caught:
            ask(connect(api_key_file=str(file)), [FREE])
        said += [
            str(caught.value),
            repr(caught.value),
            *traceback.format_exception(caught.value),
        ]
    for status in (400, 500):
        server.decide = lambda *_, status=status: Reply(status, body=echo)
        (failed,) = ask(connect(api_key_file=str(file)), [FREE], deadline_s=1)
        said.append(repr(failed))

    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert any("answered 500" in words for words in said)
    for words in [*said, *caplog.text.splitlines()]:
        assert KEY not in words


def test_what_the_environment_says_of_another_vendor_is_not_sent(
    connect, server, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}")

    ask(connect(), [FREE])

    assert "org" not in server.headers[0].values()
    assert KEY not in str(server.headers[0])


@pytest.mark.parametrize("key", [None, "", "two\nlines"])
def test_a_key_that_cannot_be_sent_is_named_by_its_file(connect, tmp_path, key):
    file = tmp_path / "key"
    if key is not None:
        file.write_text(key)

    with pytest.raises(InvalidConfig, match=str(file)):
        connect(api_key_file=str(file))
