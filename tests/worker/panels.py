"""Loops of voters that each see some strata only, beside a teacher that is paid."""

import numpy as np
from sqlalchemy import select, text

from api.decided import pilot_row
from db.models import Round
from db.queries import gold
from kompress.types import Gold
from tests.simulated_truth import simulated_truth
from tests.worker.fake_transport import FakeTransport, agree, open_fake

HASH = {"truth": "hash", "keep_share": 0.5}
# Every stratum is that of one of four voters; with one that keeps everything they are
# five, and two keep votes do not make a majority.
SIGHTED = {
    "a": ("plain",),
    "b": ("number", "unit", "hex", "version"),
    "c": ("id", "signal", "constant", "path", "flag"),
    "d": ("dotted", "identifier", "formula", "directive", "other"),
}


def collapsing_voters():
    """Four voters sighted on some strata each, and a teacher that keeps everything."""
    simulated = [
        {
            "name": name,
            "kind": "simulated",
            "params": HASH
            | {
                "sensitivity": {"all": 0.0} | dict.fromkeys(strata, 1.0),
                "specificity": {"all": 1.0},
            },
        }
        for name, strata in SIGHTED.items()
    ]
    model = {"engine": "vllm", "model": "tiny"}
    return [*simulated, {"name": "t", "kind": "teacher", "params": model}]


def healthy_voters():
    simulated = [
        {
            "name": name,
            "kind": "simulated",
            "params": HASH | {"sensitivity": {"all": 0.9}, "specificity": {"all": 0.9}},
        }
        for name in ("a", "b", "c", "d")
    ]
    return [*simulated, collapsing_voters()[-1]]


def start_panel(farm, voters, *, answer=agree, **changes):
    """Sixty texts whose gold is the simulated truth; a majority of the voters."""
    transport = FakeTransport(answer)
    farm.runtime.open_transport = open_fake(transport)
    farm.add_documents(60)
    with farm.sessions.begin() as session:
        rows = session.execute(
            text("SELECT t.id, t.content, d.split FROM texts t "
                 "JOIN documents d ON d.text_id = t.id ORDER BY t.id")
        ).all()  # fmt: skip
        session.execute(text("DELETE FROM gold"))
        gold.store_gold(
            session,
            [
                (
                    row.id,
                    Gold(
                        "simulated",
                        "calibrate" if row.split == "train" else "evaluate",
                        np.where(simulated_truth(row.content, HASH), 254, 0).astype(
                            np.uint8
                        ),
                    ),
                )
                for row in rows
                if row.split != "held_out"
            ],
        )
    aggregation = {"rule": "majority", "compare": ["majority"]}
    farm.start(voters=voters, aggregation=aggregation | changes)
    return transport


def pilot_of(farm):
    with farm.sessions() as session:
        (row,) = session.scalars(select(Round))
        return pilot_row(row.decisions.pilot) or None
