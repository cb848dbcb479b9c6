import asyncio
import json
import threading
import time

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from api.serving import MAX_BODY_BYTES, Manner, create_app
from tests.api.half import Half

PROSE = " ".join(f"word{n % 7}x" for n in range(80))  # nothing of it must be kept


@pytest.fixture
def student():
    return Half()


@pytest.fixture
def client(student):
    app = create_app(student, max_queue=2)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    student.go.set()


def ask(client, content, ratio=None):
    return client.post("/compress", json={"content": content, "target_ratio": ratio})


def problem_of(response):
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()["detail"]


def test_a_text_comes_back_with_what_the_remote_contract_asks_for(client, student):
    answer = ask(client, PROSE)

    assert answer.status_code == 200
    assert answer.json() == {
        "compressed": " ".join(PROSE.split()[1::2]),
        "original_tokens": 80,
        "compressed_tokens": 40,
        "compression_ratio": 0.5,
        "model_used": student.id,
        "json_valid": None,
        "json_elements_left": None,
        "unscored_words": 0,
    }


def test_target_ratio_is_the_share_of_words_kept(client):
    assert ask(client, PROSE, 0.25).json()["compressed_tokens"] == 20
    assert ask(client, PROSE, 1).json()["compressed"] == PROSE


def test_the_override_of_the_deployed_client_is_the_default(client, student):
    with TestClient(create_app(student, manner=Manner(override=None))) as bare:
        text = f"404 {PROSE}"

        assert ask(client, text).json()["compressed"].startswith("404 ")
        assert not ask(bare, text).json()["compressed"].startswith("404")


def test_keys_and_values_live_or_die_together_by_option(student):
    # Every other word scores high: without the option values stay and lose their keys.
    text = "\n".join(f"- enabled{n}: ok" for n in range(40))
    app = create_app(student, manner=Manner(override=None, pairs=True))
    with TestClient(app) as client:
        short = ask(client, text).json()["compressed"]

    lines = short.split("\n")
    assert any(lines)
    for line in lines:
        words = line.removeprefix("- ").split()
        assert len(words) in (0, 2) or line == "-"


def test_what_was_written_over_goes_first_by_option(student):
    frames = "\r".join(f"pulled {n}%" for n in range(101))
    text = f"start\n\x1b[32m{frames}\x1b[0m\n{PROSE}"
    app = create_app(student, manner=Manner(override=None, as_shown=True))
    with TestClient(app) as client:
        answer = ask(client, text).json()

    assert student.batches == [[f"start\npulled 100%\n{PROSE}"]]
    assert answer["original_tokens"] == len(text.split())


def test_short_texts_come_back_as_they_are_without_the_model(client, student):
    text = " two \n\n words\t"

    answer = ask(client, text).json()

    assert (answer["compressed"], answer["compression_ratio"]) == (text, 1.0)
    assert ask(client, "").json()["compression_ratio"] == 1.0
    assert student.batches == []


@pytest.mark.parametrize(
    ("text", "valid", "left"),
    [
        # Of three words an item every other one stays, and figures: 20 of 40 keys, and
        # the values of the 20 other items.
        (json.dumps([{"key": f"value {n}"} for n in range(40)]), False, 0.5),
        # What is left of a list of words parses, and lacks half of them.
        (json.dumps(["WORD", *(["word", "other"] * 40), "END"]), False, 0.5),
        (json.dumps({"short": 1}), True, 1.0),  # passes through
        ("[ not JSON " + PROSE, None, None),
    ],
)
def test_json_that_lacks_anything_is_marked(client, text, valid, left):
    answer = ask(client, text).json()

    assert answer["json_valid"] is valid
    assert answer["json_elements_left"] == pytest.approx(left, abs=0.02)


def test_a_text_that_is_late_keeps_what_is_not_scored(student):
    # 8,000 words at 100 a part of .02 s or more are 1.6 s, twice the deadline.
    text = " ".join(f"word{n % 7}x" for n in range(8_000))
    student.pause_s = 0.02
    app = create_app(student, max_batch=100, deadline_s=0.8)
    with TestClient(app) as client:
        answer = ask(client, text).json()
        half = ask(client, text, 0.5).json()

    for found in (answer, half):
        unscored = found["unscored_words"]
        assert 0 < unscored < 8_000
        # Every other word of what was scored; the deadline falls between two parts.
        assert found["compressed_tokens"] == unscored + (8_000 - unscored) // 2
    tail = text.split()[-answer["unscored_words"] :]
    assert answer["compressed"].split()[-len(tail) :] == tail


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"not json", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b'{"content": "\xff"}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"{}", 422, "content: Field required"),
        (b"[]", 422, "body: "),
        (b'{"content": 7}', 422, "content: "),
        (b'{"content": null}', 422, "content: "),
        (b'{"content": "a\\u0000b"}', 422, "NUL"),
        (b'{"content": "a\\ud800"}', 422, "surrogate"),
        (b'{"content": "a", "target_ratio": 0}', 422, "target_ratio"),
        (b'{"content": "a", "target_ratio": 1.5}', 422, "target_ratio"),
        (b'{"content": "a", "target_ratio": NaN}', 422, "target_ratio"),
        (b'{"content": "a", "target_ratio": "0.5"}', 422, "target_ratio"),
        (b'{"content": "a", "target_ratio": true}', 422, "target_ratio"),
    ],
)
def test_a_body_that_cannot_be_used_is_a_problem(client, body, status, words):
    answer = client.post("/compress", content=body)

    assert answer.status_code == status
    assert words in problem_of(answer)


def test_a_body_may_not_be_endless(client):
    stated = client.post("/compress", content=b"x" * (MAX_BODY_BYTES + 1))
    unstated = client.post("/compress", content=iter([b"x" * MAX_BODY_BYTES, b"x"]))

    assert (stated.status_code, unstated.status_code) == (413, 413)
    assert "over 4,194,304 bytes" in problem_of(stated)


def test_other_paths_and_methods_are_problems(client):
    assert client.get("/compress").status_code == 405
    assert "/openapi.json" in problem_of(client.get("/else"))


def test_a_fault_of_the_model_hurts_only_its_own_request(client, student):
    assert ask(client, f"poison {PROSE}").status_code == 500
    assert ask(client, PROSE).status_code == 200


def test_a_full_queue_answers_503_and_says_when_to_come_back(client, student):
    student.go.clear()
    texts = [f"{PROSE} {n}x" for n in range(4)]
    answers = {}

    def send(number):
        answers[number] = ask(client, texts[number])

    threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
    threads[0].start()
    assert student.entered.wait(10)  # the first is being scored, two may wait
    for thread in threads[1:]:
        thread.start()
    refused = ask_until_refused(client, texts[3])
    student.go.set()
    for thread in threads:
        thread.join()

    assert int(refused.headers["retry-after"]) >= 1
    assert "2 requests wait already" in problem_of(refused)
    assert [answers[n].status_code for n in range(3)] == [200, 200, 200]
    # Those that waited were scored together, in their order of arrival.
    assert [len(batch) for batch in student.batches] == [1, 2]


def ask_until_refused(client, text):
    """Ask once the two other requests have reached the queue."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if client.get("/readyz").json()["waiting"] == 2:
            return ask(client, text)
        time.sleep(0.01)
    raise AssertionError("the queue did not fill")


def test_health_and_readiness_need_no_model(client, student):
    student.go.clear()

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {
        "status": "ready", "student": student.id, "waiting": 0,
    }  # fmt: skip


def test_a_request_whose_client_has_gone_is_not_scored(student):
    app = create_app(student)

    async def story():
        async with app.router.lifespan_context(app):
            student.go.clear()
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://t"
            ) as client:
                first = asyncio.ensure_future(
                    client.post("/compress", json={"content": PROSE})
                )
                assert await asyncio.to_thread(student.entered.wait, 10)
                await leave_at_once(app, f"gone {PROSE}")
                student.go.set()
                assert (await first).status_code == 200

    asyncio.run(story())
    assert [text for batch in student.batches for text in batch] == [PROSE]


async def leave_at_once(app, content):
    """Speak ASGI as a server whose client sends a request and hangs up."""
    body = json.dumps({"content": content}).encode()
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        pass

    scope = {"type": "http", "method": "POST", "path": "/compress", "headers": [],
             "query_string": b"", "http_version": "1.1", "scheme": "http",
             "server": ("t", 80), "client": None, "root_path": ""}  # fmt: skip
    await app(scope, receive, send)


@pytest.mark.serial
def test_a_large_text_that_passes_through_holds_up_nobody():
    items = [{"id": n, "ok": True} for n in range(100_000)]
    content = json.dumps(items, separators=(",", ":"))  # one word of 2 MB

    held_s, took_s = asyncio.run(time_of(create_app(Half()), content))

    # Others are served while the text is looked at, and not only after it.
    assert held_s < 0.8 * took_s


async def time_of(app, content):
    """Give how long the loop stood still during a request, and how long that took."""
    pauses_s = []

    async def beat():
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            pauses_s.append(time.perf_counter() - began)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client,
    ):
        beating = asyncio.create_task(beat())
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        await client.post("/compress", json={"content": content}, timeout=60)
        took_s = time.perf_counter() - began
        await asyncio.sleep(0.05)
        beating.cancel()
    return max(pauses_s), took_s
