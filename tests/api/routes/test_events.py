from api import queue
from api.intake import ingest
from kompress.config import LoopConfig, parse_config
from kompress.types import Document


def test_events_come_page_by_page_with_their_actor(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        queue.start_loop(session, "x", "c", parse_config(LoopConfig, config))
    client.post("/v1/loops/x/pause")

    first = client.get("/v1/loops/x/events?limit=1").json()
    rest = client.get(f"/v1/loops/x/events?after_id={first['next_after_id']}").json()
    end = client.get(f"/v1/loops/x/events?after_id={rest['next_after_id']}").json()

    assert [event["kind"] for event in first["events"]] == ["loop_started"]
    assert [(e["kind"], e["actor"]) for e in rest["events"]] == [
        ("loop_paused", "tests")
    ]
    assert end == {
        "loop": "x",
        "events": [],
        "next_after_id": rest["next_after_id"],
    }
    assert client.get("/v1/loops/x/events?limit=0").status_code == 422
