import json
import tracemalloc

import anyio
import pytest

from api.app import create_app
from db.queries import corpora

URL = "/v1/corpora/tools/documents"


def lines(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def test_a_streamed_upload_is_stored_and_the_same_again_adds_nothing(client, sessions):
    body = lines({"id": "a", "text": "one two"}, {"id": "b", "text": "three"})

    # In pieces of 7 bytes: no line comes whole.
    first = client.post(URL, content=(body[n : n + 7] for n in range(0, len(body), 7)))
    second = client.post(URL, content=body)

    assert first.status_code == second.status_code == 200
    assert (first.json()["added"], second.json()["added"]) == (2, 0)
    assert second.json()["duplicates"] == 2
    with sessions() as session:
        assert corpora.get_corpus(session, "tools").last_seq == 2


def test_bad_lines_are_reported_by_number_and_good_ones_kept(client):
    body = b"\n".join(
        [b'{"text": "fine"}', b"", b"oops", b'{"text": ""}', b"\xff", b'{"text": 1}']
    )

    answer = client.post(URL, content=body).json()

    assert (answer["added"], answer["num_bad"]) == (1, 4)
    assert [line["number"] for line in answer["bad"]] == [3, 4, 5, 6]
    assert "not JSON" in answer["bad"][0]["reason"]


def test_an_upload_without_a_good_line_is_refused_with_the_reasons(client, sessions):
    wrong = client.post(URL, content=b"name,text\na,b\n")
    empty = client.post(URL, content=b"")

    assert wrong.status_code == empty.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    assert [line["number"] for line in wrong.json()["bad"]] == [1, 2]
    assert "an empty body" in empty.json()["detail"]
    with sessions() as session:
        assert corpora.list_corpora(session) == []


def test_a_packed_body_and_a_wrong_name_are_refused(client):
    packed = client.post(URL, content=b"x", headers={"Content-Encoding": "gzip"})
    named = client.post("/v1/corpora/a%20b/documents", content=b"x")

    assert packed.status_code == 415
    assert "gzip" in packed.json()["detail"]
    assert named.status_code == 422
    assert "corpus name" in named.json()["detail"]


def stream(app, key, chunks):
    """Send a body straight to the app: the test client would hold all of it."""
    sent = []

    async def receive():
        body = next(chunks, b"")
        return {"type": "http.request", "body": body, "more_body": bool(body)}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": URL,
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
    }

    async def serve():
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    anyio.run(serve)
    return json.loads(b"".join(part.get("body", b"") for part in sent))


@pytest.mark.slow
def test_an_upload_of_30_mb_takes_no_more_memory_than_one_of_10(
    settings, api_key, sessions
):
    app = create_app(settings)

    def body(num_lines, first):
        for number in range(first, first + num_lines):
            # Long words, so that the time goes into bytes.
            words = f"{number:06d}{'x' * 93} " * 200
            yield lines({"id": str(number), "text": words}) + b"\n"

    def peak_of(num_lines, first):
        tracemalloc.start()
        answer = stream(app, api_key, body(num_lines, first))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer["added"] == num_lines
        return peak

    # 20 kB a line: 10 MB, then 30 MB. A batch ends at 4 MB of text.
    small, large = peak_of(500, 0), peak_of(1_500, 10_000)

    assert large < 1.2 * small


def test_corpora_are_listed_by_name_with_their_splits(client):
    client.post(URL, content=lines({"id": "a", "text": "one two", "split": "train"}))
    client.post(
        "/v1/corpora/logs/documents", content=lines({"text": "x", "split": "audit"})
    )

    found = client.get("/v1/corpora").json()["corpora"]

    assert [row["name"] for row in found] == ["logs", "tools"]
    assert found[1] == {
        "name": "tools",
        "num_documents": 1,
        "documents": {"train": 1},
        "num_words": 2,
        "external_ok": False,
    }
