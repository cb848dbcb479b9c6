"""Where `farm eval` writes its figures: `scores`, which `student_scores` shows."""

from typing import TYPE_CHECKING

from api.cli.eval_inputs import Measured, Study

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.evaluation.baselines.lineup import Result


def store_figures(study: Study, found: list[Measured]) -> str:
    """Store what was measured; tells people where it is.

    Figures on a loop's own documents never change, so that what its evaluate stage
    stored stays. Others, on a corpus that may have grown since, replace the earlier.
    What depends on one student that is not its round's main one carries its id.
    """
    from api.cli.connection import open_session
    from db.queries import texts
    from db.queries.texts import NewText
    from kompress.evaluation.suites import load_dense
    from kompress.words import word_list

    if study.student_id is None:
        return (
            "not stored: a folder is no student of the farm; `farm student import` "
            "makes it one"
        )
    with open_session() as session:
        shipped = {text.sha256 for text in load_dense().texts}
        own = [
            text
            for measured in found
            for text in measured.suite.texts
            if text.sha256 in shipped
        ]
        texts.store_texts(
            session,
            [
                NewText(
                    text.text, bytes.fromhex(text.sha256), len(word_list(text.text))
                )
                for text in own
            ],
        )
        for measured in found:
            for result in measured.results():
                _store(session, study, result)
    return f"stored: the view student_scores has all of student {study.student_id}"


def _store(session: "Session", study: Study, result: "Result") -> None:
    from db.queries import scores

    round_id, name, student_id = study.round_id, result.name, None
    is_student = result.kind == "student"
    if is_student:
        student_id = int(name)
        if student_id != study.student_id:
            round_id = study.previous_round_id
    elif result.kind == "baseline" and not study.is_main:
        name = f"{name}@{study.student_id}"
    is_fixed = study.is_pinned and (is_student or name == "random")
    write = scores.store_scores if is_fixed else scores.replace_scores
    write(session, round_id, result.kind, name, student_id, result.rows)
