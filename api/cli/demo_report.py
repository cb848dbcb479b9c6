"""The figures of a loop, under the names of the views that people query."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kompress.types import PLAIN, STRATA

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Loop, Round

Row = dict[str, Any]
OVERRIDE_SOURCE = {"self_label": "self_label_raw"}


def read_figures(session: "Session", loop_id: int) -> dict[str, Any]:
    """Read everything about a loop.

    Returns:
        The rows of the views of design §5 by the view's name, and `random_dropping`
        (as `student_scores`, for random dropping at the student's keep_rate),
        `with_override` (as `label_quality`, every must-keep word of the override's
        rule set kept), `subjects` (voters and rules against gold) and `loop`.
    """
    from db.queries import comparison, loops, quality_views

    loop = loops.get_loop(session, loop_id)
    rounds = list(loops.rounds_of(session, loop_id))
    views = ("label_quality", "round_summary", "voter_quality", "ensemble_paradox",
             "student_scores", "round_costs")  # fmt: skip
    return {
        "loop": _describe_loop(loop, rounds),
        **{view: getattr(quality_views, view)(session, loop.name) for view in views},
        "queue_depth": quality_views.queue_depth(session),
        "random_dropping": [r for row in rounds for r in _random(session, loop, row)],
        "with_override": [r for row in rounds for r in _overridden(session, loop, row)],
        "subjects": comparison.compare_subjects(session, loop_id),
    }


def _describe_loop(loop: "Loop", rounds: "list[Round]") -> Row:
    return {
        "loop": loop.name,
        "status": loop.status,
        "stop_reason": loop.stop_reason,
        "promoted_student": loop.promoted_student_id,
        "promotion": rounds[-1].decisions.get("promotion", {}) if rounds else {},
        "label_source": {row.number: row.config["label_source"] for row in rounds},
        "override": {
            row.number: row.config["self_label"]["override"] for row in rounds
        },
        "rule": {row.number: row.config["aggregation"]["rule"] for row in rounds},
    }


def _random(session: "Session", loop: "Loop", row: "Round") -> list[Row]:
    from db.queries import scores

    names = ("suite", "stratum", "rule_set", "definition", "override",
             "target_keep_rate", "step", "metric", "value", "ci_low", "ci_high",
             "n")  # fmt: skip
    found = scores.load_scores(session, row.id, "baseline", "random")
    return [
        {
            "loop": loop.name,
            "round": row.number,
            **{name: getattr(score.score, name) for name in names},
        }
        for score in found
    ]


def _overridden(session: "Session", loop: "Loop", row: "Round") -> list[Row]:
    """Count what survives once the override keeps its words, by `farm` category."""
    from db.queries import labels, texts

    source = OVERRIDE_SOURCE.get(row.config["label_source"], row.config["label_source"])
    override = row.config["self_label"]["override"]
    # The same texts as `label_quality` counts, so that the two figures compare.
    posterior = labels.load_labels(session, row.id, source)
    text_ids = sorted(posterior)
    farm = texts.load_strata(session, text_ids, "farm")
    other = texts.load_strata(session, text_ids, override)
    must_S = np.zeros(len(STRATA), dtype=np.int64)
    kept_S = np.zeros(len(STRATA), dtype=np.int64)
    for text_id in text_ids:
        keep_N = posterior[text_id].keep_N | (other[text_id] != PLAIN)
        must_S += np.bincount(farm[text_id], minlength=len(STRATA))
        kept_S += np.bincount(farm[text_id][keep_N], minlength=len(STRATA))
    num_words, num_kept = int(must_S.sum()), int(kept_S.sum())
    must_S[PLAIN] = kept_S[PLAIN] = 0
    cells = {"all": (int(must_S.sum()), int(kept_S.sum()))}
    cells |= {
        name: (int(must_S[code]), int(kept_S[code]))
        for code, name in enumerate(STRATA)
        if must_S[code]
    }
    return [
        {
            "loop": loop.name,
            "round": row.number,
            "source": f"{source}+override",
            "kind": "all",
            "category": name,
            "rule_set": "farm",
            "num_documents": len(text_ids),
            "num_words": num_words,
            "num_kept": num_kept,
            "num_must_keep": must,
            "num_must_keep_kept": kept,
            "mk_in_ref": kept / must if must else None,
            "keep_rate": num_kept / num_words if num_words else None,
        }
        for name, (must, kept) in cells.items()
    ]
