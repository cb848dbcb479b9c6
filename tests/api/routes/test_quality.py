from api import queue
from api.intake import ingest
from db.queries import labels, loops
from kompress.config import LoopConfig, parse_config
from kompress.types import CountKey, Document, LabelCounts


def test_quality_gives_the_rows_of_both_views(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        loop = queue.start_loop(session, "x", "c", parse_config(LoopConfig, config))
        (row,) = loops.rounds_of(session, loop.id)
        key = CountKey("consensus", "all", "all", "farm", "2")
        # 12 of 16 must-keep words survive: 0.75; 50 of 80 words are kept: 0.625.
        labels.add_label_counts(session, row.id, {key: LabelCounts(1, 80, 50, 16, 12)})

    answer = client.get("/v1/loops/x/quality?round=1").json()

    (quality,) = answer["label_quality"]
    assert (quality["mk_in_ref"], quality["keep_rate"]) == (0.75, 0.625)
    assert answer["round_summary"][0]["status"] == "running"
    other = client.get("/v1/loops/x/quality?round=2").json()
    assert (other["round_summary"], other["label_quality"]) == ([], [])
    assert client.get("/v1/loops/none/quality").status_code == 404
