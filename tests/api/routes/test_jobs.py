from api import queue
from api.intake import ingest
from kompress.config import LoopConfig, parse_config
from kompress.types import Document


def test_jobs_are_listed_by_loop_status_and_page(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        for name in ("x", "y", "z"):
            queue.start_loop(session, name, "c", parse_config(LoopConfig, config))

    page = client.get("/v1/jobs?limit=2").json()
    rest = client.get(f"/v1/jobs?limit=2&before_id={page['next_before_id']}").json()
    one = client.get("/v1/jobs?loop=y&status=pending").json()["jobs"]

    assert [job["loop"] for job in page["jobs"]] == ["z", "y"]
    assert [job["loop"] for job in rest["jobs"]] == ["x"]
    assert rest["next_before_id"] is None
    assert [(job["loop"], job["stage"], job["round"]) for job in one] == [
        ("y", "select", 1)
    ]
    assert client.get("/v1/jobs?loop=y&status=done").json()["jobs"] == []
    assert client.get("/v1/jobs?loop=nobody").status_code == 404
    assert client.get("/v1/jobs?status=odd").status_code == 422
