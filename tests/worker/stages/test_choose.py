"""Rounds whose references are compared: nominate, compare and choose, in process."""

import re
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import text

from db.queries import jobs, loops
from kompress.config import PAIRWISE
from kompress.teachers.pairwise import CHOICES
from kompress.teachers.request import Answer, Capabilities, Sample
from tests.end_to_end.farm import TINY, loop_config
from tests.worker.learning import add_late_gold, forget_half_of_the_gold
from tests.worker.pulse import Pulse
from tests.worker.worlds import change
from worker.references import winning_qualities
from worker.stages import choose

WINNERS = """
    SELECT v.text_id, v.codes, v.num_samples FROM round_votes rv
    JOIN votes v ON v.id = rv.vote_id
    JOIN voters n ON n.id = v.voter_id AND n.name = 'pairwise'
    JOIN rounds r ON r.id = rv.round_id WHERE r.number = :round ORDER BY 1"""
REPORTS = """
    SELECT e.detail FROM events e JOIN rounds r ON r.id = e.round_id
    WHERE e.kind = 'references_chosen' AND r.number = :round ORDER BY e.id"""
_PARTS = re.compile(r"\nA:\n(=+)\n(.*?)\n\1\nB:\n\1\n(.*?)\n\1\n", re.DOTALL)


_TEXT = re.compile(r"(=+)\n(.*?)\n\1\n", re.DOTALL)


class LengthJudge:
    """A model that knows one thing: it likes what has more words, and a bit the first.

    Texts that hold `poison` get an answer that is no judgment. Asked to shorten, it
    keeps the first words of all lines in one sample, the last in the other.
    """

    capabilities = Capabilities(
        forced_tokens=True, logprobs=True, samples=True, prefix_cache=True
    )

    def __init__(self, poison="no text says this"):
        self.poison = poison
        self.asked = []

    def ask(self, requests, *, tick, deadline_s):
        for place, request in enumerate(requests):
            tick()
            self.asked.append(request)
            if request.choices != CHOICES:
                yield place, Answer(self._shorten(request), 10, 1)
                continue
            _, first, second = _PARTS.search(request.user).groups()
            gap = len(first.split()) - len(second.split())
            p = 0.1 + 0.8 / (1 + np.exp(-gap / 4 - 0.2))
            probs = None if self.poison in request.user else ((p, 0.95 - p, 0.05),)
            yield place, Answer((Sample("A", "stop", probs),), 10, 1)

    def _shorten(self, request):
        lines = [line.split() for line in _TEXT.search(request.user)[2].split("\n")]
        return tuple(
            Sample("\n".join(line[place] for line in lines if line))
            for place in (0, -1)
        )

    def max_tokens(self, request):
        return 10, 1

    def close(self):
        pass


def judge(name="judge"):
    return {
        "name": name,
        "kind": "teacher",
        "params": {"protocol": "pairwise", "engine": "transformers", "model": "none"},
    }


def pairwise(*judges, **changes):
    return {"judges": list(judges or (judge(),)), "min_must_keep": 0.2, **changes}


def run_round(farm, model, *, until="fit", num_documents=12, **changes):
    """Run a round up to a stage and say how many documents it has."""
    farm.add_documents(num_documents)
    farm.runtime.open_transport = lambda *arguments: model
    farm.start(protocol="both", **{"pairwise": pairwise(), **changes})
    farm.run(until=until)
    assert farm.parked() == []
    return farm.query("SELECT count(*) FROM selections")[0][0]


@pytest.mark.slow
def test_the_reference_that_judges_prefer_votes(farm):
    model = LengthJudge()

    num_documents = run_round(farm, model)

    winners = farm.query(WINNERS, round=1)
    assert len(winners) == num_documents > 5
    for text_id, codes, num_samples in winners:
        codes_N = np.frombuffer(codes, dtype=np.uint8)
        assert set(codes_N.tolist()) == {0, 254}
        assert num_samples == 1
        # Whoever keeps most words is the judge's choice.
        ((longest,),) = farm.query(
            """SELECT max(bit_count(keep)) FROM candidates
               WHERE text_id = :text_id AND is_sound""",
            text_id=text_id,
        )
        assert (codes_N == 254).sum() == longest
    # Three voters: 3 pairs, both orders, of each document.
    assert len(model.asked) == num_documents * 6
    assert farm.query("SELECT count(*) FROM comparisons") == [(num_documents * 6,)]
    assert farm.query(
        "SELECT count(*), count(quality), count(quality_se) FROM candidates"
    ) == [(num_documents * 3,) * 3]


@pytest.mark.slow
def test_samples_and_the_teachers_consensus_are_references_of_their_own(farm):
    rewriters = [judge(name) for name in ("rewriter", "second", "third")]
    for rewriter in rewriters:
        rewriter["params"] |= {"protocol": "rewrite", "samples": 2}
    voters = [voter.model_dump() for voter in loop_config().base.voters]

    num_documents = run_round(farm, LengthJudge(), voters=[*voters, *rewriters])

    found = farm.query(
        """SELECT c.replicate, c.reference, t.content FROM candidates c
           JOIN texts t ON t.id = c.text_id
           WHERE c.origin LIKE 'rewriter/samples@%' ORDER BY c.text_id, c.replicate"""
    )
    assert len(found) == 2 * num_documents
    for replicate, reference, content in found:
        lines = [line.split() for line in content.split("\n")]
        kept = [line[-replicate] for line in lines if line]
        assert reference.split() == kept
    # What half of the samples keep: the teacher's own mask is one more candidate.
    for origin in ("rewriter@%", "consensus@%"):
        assert farm.query(
            "SELECT count(*) FROM candidates WHERE origin LIKE :origin", origin=origin
        ) == [(num_documents,)]


@pytest.mark.slow
def test_a_round_reports_how_its_references_were_chosen(farm):
    num_documents = run_round(farm, LengthJudge(), num_documents=28, shard_documents=9)

    reports = [detail for (detail,) in farm.query(REPORTS, round=1)]

    assert len(reports) == 3
    assert sum(report["num_documents"] for report in reports) == num_documents
    assert sum(report["num_winners"] for report in reports) == num_documents
    assert sum(report["num_judgments"] for report in reports) == num_documents * 6
    assert all(report["judges"]["judge"]["position_bias"] > 0 for report in reports)
    sums = {}
    for report in reports:
        for name, counts in report["choices"]["won"].items():
            sums[name] = sums.get(name, 0) + np.array(counts)
    assert {"oracle", "voted", "verified", "random", "majority"} <= set(sums)
    # Every way of choosing speaks of the same words that gold keeps.
    assert len({counts[0] + counts[2] for counts in sums.values()}) == 1


@pytest.mark.slow
def test_a_text_without_a_judgment_has_no_winner_and_is_a_failure(farm):
    farm.add_documents(8)
    ((text_id, content),) = farm.query(
        """SELECT t.id, t.content FROM texts t JOIN documents d ON d.text_id = t.id
           WHERE d.split = 'train' ORDER BY t.id LIMIT 1"""
    )
    farm.runtime.open_transport = lambda *arguments: LengthJudge(content)
    farm.start(protocol="both", pairwise=pairwise())
    farm.run(until="fit")

    assert farm.parked() == []
    winners = {row[0] for row in farm.query(WINNERS, round=1)}
    ((error,),) = farm.query(
        "SELECT error FROM failures WHERE text_id = :t AND stage = 'compare'",
        t=text_id,
    )
    assert "log-probabilities" in error
    ((report,),) = farm.query(REPORTS, round=1)
    assert report["num_unjudged"] == 1
    assert text_id not in winners
    assert len(winners) == report["num_documents"] - 1
    assert farm.query(
        "SELECT count(quality) FROM candidates WHERE text_id = :t", t=text_id
    ) == [(0,)]


@pytest.mark.slow
def test_what_the_verifier_refuses_does_not_win(farm):
    num_documents = run_round(farm, LengthJudge(), pairwise=pairwise(max_keep_rate=0.0))

    assert farm.query(WINNERS, round=1) == []
    ((report,),) = farm.query(REPORTS, round=1)
    assert report["num_without_sound"] == num_documents
    assert report["refusals"]["keep_rate"] == num_documents * 3
    assert farm.query("SELECT DISTINCT is_sound FROM candidates") == [(False,)]


@pytest.mark.slow
def test_gold_that_comes_after_the_selection_chooses_nothing(farm):
    # One shard: a scale is fitted to 20 candidates with gold at least.
    farm.add_documents(28)
    forget_half_of_the_gold(farm)
    farm.runtime.open_transport = lambda *arguments: LengthJudge()
    farm.start("during", protocol="both", pairwise=pairwise(), shard_documents=99)
    farm.run(until="choose")
    before = [chosen(farm, job_id) for job_id in waiting(farm)]

    add_late_gold(farm)

    assert [chosen(farm, job_id) for job_id in waiting(farm)] == before
    assert any(out.report["quality"]["num_candidates"] for out in before)
    change(farm.sessions, "UPDATE jobs SET status = 'done' WHERE status = 'pending'")
    farm.start("after", protocol="both", pairwise=pairwise(), shard_documents=99)
    farm.run(until="choose")
    # The next round believes it.
    after = [chosen(farm, job_id) for job_id in waiting(farm)]
    assert [out.verdicts for out in after] != [out.verdicts for out in before]


def waiting(farm):
    found = farm.query("""
        SELECT id FROM jobs WHERE stage = 'choose' AND status = 'pending' ORDER BY id
    """)
    return [job_id for (job_id,) in found]


def chosen(farm, job_id):
    """What an attempt at a job would choose and report."""
    with farm.sessions() as session:
        inputs = choose.load(session, jobs.get_job(session, job_id))
    out = choose.compute(farm.runtime, inputs, Pulse()).choice
    return replace(out, votes=[(t, n, v.codes_N.tobytes()) for t, n, v in out.votes])


@pytest.mark.slow
def test_a_later_round_adds_judgments_and_keeps_the_old_ones(farm):
    model = LengthJudge()
    farm.add_documents(8)
    farm.runtime.open_transport = lambda *arguments: model
    farm.start(protocol="both", pairwise=pairwise(), rounds=2)

    farm.run(before_round=2)
    first = farm.query("SELECT * FROM comparisons ORDER BY 1, 2, 3, 4")
    num_asked = len(model.asked)
    farm.run()

    assert farm.parked() == []
    second = farm.query("SELECT * FROM comparisons ORDER BY 1, 2, 3, 4")
    assert set(first) <= set(second)
    # The last student nominates too; only pairs that are new were asked.
    assert len(model.asked) - num_asked == len(second) - len(first)
    assert farm.query(
        "SELECT count(*) > 0 FROM candidates WHERE origin LIKE 'student@%'"
    ) == [(True,)]
    # Winners of both rounds are votes of their own.
    assert farm.query(WINNERS, round=2)
    assert farm.query(
        "SELECT count(*) FROM voters WHERE name = :name", name=PAIRWISE
    ) == [(2,)]


@pytest.mark.slow
def test_the_winners_quality_reaches_the_quality_head(farm):
    recipe = {
        "student": {**TINY, "quality_head": True},
        "quality_weight": 0.5,
        "epochs": 1,
        "num_threads": 1,
    }

    run_round(farm, LengthJudge(), recipe=recipe, until="")

    with farm.sessions() as session:
        ((round_id,),) = session.execute(text("SELECT id FROM rounds"))
        held = loops.read_round(session, round_id)
        text_ids = session.scalars(text("SELECT id FROM texts")).all()
        found = winning_qualities(session, round_id, text_ids)
    assert set(found) == {row[0] for row in farm.query(WINNERS, round=1)}
    # No target of quality would have been refused, and the round parked.
    assert held.status == "finished"
    for quality, error in found.values():
        assert 0 < quality < 1
        assert error >= 0.01
