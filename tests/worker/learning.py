"""Rounds whose rules learn, and all that they come to."""

import numpy as np
from sqlalchemy import text

from db.queries import gold
from kompress.aggregation import AGGREGATORS
from kompress.types import Gold

LEARNERS = sorted(name for name, rule in AGGREGATORS.items() if hasattr(rule, "fit"))


def rules_led_by(own):
    """All rules that learn, one of them the round's own."""
    beside = [name for name in LEARNERS if name != own]
    return {"rule": own, "compare": ["majority", *beside]}


RULES = rules_led_by("reliability")

RESULTS = {
    "fits": """
        SELECT l.name, f.rule, f.data::text FROM rule_fits f
        JOIN rounds r ON r.id = f.round_id JOIN loops l ON l.id = r.loop_id
        ORDER BY 1, 2""",
    "labels": """
        SELECT l.name, b.text_id, encode(b.mean, 'hex'), encode(b.sd, 'hex')
        FROM labels b JOIN rounds r ON r.id = b.round_id
        JOIN loops l ON l.id = r.loop_id WHERE b.source = 'consensus'
        ORDER BY 1, 2""",
    "decisions": """
        SELECT l.name, key, value::text
        FROM rounds r JOIN loops l ON l.id = r.loop_id, jsonb_each(r.decisions)
        WHERE key <> 'escalations' ORDER BY 1, 2""",
    "pairs": """
        SELECT l.name, p.voter, p.other, p.stratum, p.truth, p.num_both_keep,
               p.num_voter_keeps, p.num_other_keeps, p.num_both_drop
        FROM voter_pairs p JOIN rounds r ON r.id = p.round_id
        JOIN loops l ON l.id = r.loop_id ORDER BY 1, 2, 3, 4, 5""",
    "voters": """
        SELECT l.name, s.voter, s.stratum, s.truth, s.num_keep_kept, s.num_agreed,
               s.num_compared, s.weight, s.ece, s.fitted_sensitivity
        FROM voter_stats s JOIN rounds r ON r.id = s.round_id
        JOIN loops l ON l.id = r.loop_id ORDER BY 1, 2, 3, 4""",
    "rules": """
        SELECT l.name, s.rule, s.stratum, s.truth, s.num_keep_kept, s.best_voter,
               s.best_value, s.difference_low, s.difference_high
        FROM rule_stats s JOIN rounds r ON r.id = s.round_id
        JOIN loops l ON l.id = r.loop_id ORDER BY 1, 2, 3, 4""",
}


def results(farm, name="loop"):
    """All that a loop's round came to, by what it is."""
    return {
        what: [row[1:] for row in farm.query(query) if row[0] == name]
        for what, query in RESULTS.items()
    }


def invert(codes):
    """Turn gold into its opposite, byte by byte."""
    return bytes({254: 0, 0: 254}.get(code, code) for code in codes)


def forget_half_of_the_gold(farm):
    """Leave every second text without calibration gold."""
    with farm.sessions.begin() as session:
        session.execute(
            text("DELETE FROM gold WHERE use = 'calibrate' AND text_id % 2 = 0")
        )


def add_late_gold(farm):
    """Somebody uploads calibration gold of all train texts, first of all by its name.

    It keeps every third word.
    """
    rows = farm.query("""
        SELECT t.id, t.num_words FROM texts t JOIN documents d ON d.text_id = t.id
        WHERE d.split = 'train' ORDER BY t.id
    """)
    with farm.sessions.begin() as session:
        for text_id, num_words in rows:
            codes_N = np.where(np.arange(num_words) % 3 == 0, 254, 0).astype(np.uint8)
            gold.store_gold(session, [(text_id, Gold("0 late", "calibrate", codes_N))])
