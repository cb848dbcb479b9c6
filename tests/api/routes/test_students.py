from api import queue
from api.intake import ingest
from db.queries import loops, scores, students
from db.queries.students import NewStudent
from kompress.config import LoopConfig, parse_config
from kompress.types import Document, Score


def test_a_student_is_shown_with_its_lineage_and_scores(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        loop = queue.start_loop(session, "x", "c", parse_config(LoopConfig, config))
        (row,) = loops.rounds_of(session, loop.id)
        new = NewStudent(row.id, "spine", 0, "silver", "ab", "id", "cd", [1, 2], 5, 99)
        student = students.store_student(session, new)
        score = Score("planted", "all", "f1", 0.5, 10)
        scores.store_scores(session, row.id, "student", str(student), student, [score])

    answer = client.get(f"/v1/students/{student}").json()

    assert (answer["loop"], answer["round"], answer["num_texts"]) == ("x", 1, 2)
    assert [(row["metric"], row["value"]) for row in answer["scores"]] == [("f1", 0.5)]
    assert client.get("/v1/students/999").status_code == 404
    assert client.get("/v1/students/first").status_code == 422


def test_students_are_listed_by_loop_and_page(client, sessions, config):
    ingest(sessions, "c", [Document("one two", "log", "a", split="train")])
    with sessions.begin() as session:
        for name in ("x", "y"):
            loop = queue.start_loop(
                session, name, "c", parse_config(LoopConfig, config)
            )
            (row,) = loops.rounds_of(session, loop.id)
            new = NewStudent(row.id, "spine", 0, "silver", name, "id", "cd", [1], 5, 99)
            students.store_student(session, new)

    page = client.get("/v1/students?limit=1").json()
    rest = client.get(f"/v1/students?after_id={page['next_after_id']}").json()
    one = client.get("/v1/students?loop=y").json()

    assert [(row["loop"], row["round"]) for row in page["students"]] == [("x", 1)]
    assert [(row["loop"], row["num_steps"]) for row in rest["students"]] == [("y", 5)]
    assert one["students"] == rest["students"]
    assert client.get("/v1/students?loop=nobody").status_code == 404
