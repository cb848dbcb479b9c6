"""Students are unique by round, recipe, seed and fold."""

from dataclasses import replace

import pytest

from db.errors import Conflict, NotFound
from db.queries import students
from db.queries.students import NewStudent


@pytest.fixture
def student(world):
    return NewStudent(
        round_id=world.round_id,
        recipe="tiny",
        seed=0,
        label_source="silver",
        artifact_hash="aa",
        checkpoint_id="tiny-0",
        manifest_hash="mm",
        trained_text_ids=world.text_ids[::-1],
        num_steps=10,
        num_tokens=1000,
        recipe_config={"layers": 4},
    )


def test_a_student_is_stored_once(session, student, world):
    first = students.store_student(session, student)

    assert students.store_student(session, student) == first
    found = students.get_student(session, first)
    assert found.trained_text_ids == world.text_ids
    assert (found.fold, found.recipe_config) == (-1, {"layers": 4})


def test_another_checkpoint_cannot_take_its_place(session, student):
    students.store_student(session, student)

    with pytest.raises(Conflict, match="holds checkpoint aa, not bb"):
        students.store_student(session, replace(student, artifact_hash="bb"))


def test_students_are_listed_by_loop_and_by_round_main_first(session, student, world):
    fold = students.store_student(session, replace(student, fold=1))
    main = students.store_student(session, student)
    imported = students.store_student(session, replace(student, round_id=None))

    def ids(rows):
        return [row.id for row in rows]

    assert ids(students.list_students(session)) == [fold, main, imported]
    assert ids(students.list_students(session, "small")) == [fold, main]
    assert students.list_students(session, "other") == []
    assert ids(students.round_students(session, world.round_id)) == [main, fold]


def test_an_unknown_student_is_refused(session):
    with pytest.raises(NotFound, match="no student has id 0"):
        students.get_student(session, 0)
