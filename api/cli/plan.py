"""`farm loop start --plan`: what a loop's first round will ask, and what that costs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from db.models import Corpus
    from kompress.config import LoopConfig, RoundConfig, VoterConfig
    from kompress.teachers.endpoints import Endpoint
    from kompress.teachers.estimate import Usage
    from kompress.teachers.request import Request

# Documents whose requests are laid out; the others are taken to be like them.
MAX_SAMPLED = 100
COLUMNS = ("voter", "wave", "documents", "requests", "input_tokens", "output_tokens",
           "usd")  # fmt: skip
NOTES = (
    "tokens are UTF-8 bytes / 3.5; output tokens are the most that may be answered",
    "this is round 1; later rounds ask only for answers that are not stored yet",
    "a later round's budget may buy up to a voter's max_replicates answers a document",
    "the pilot's documents are counted for every voter",
    "stored answers and votes cost nothing; how many there will be is not known yet",
)


def plan_loop(
    session: "Session", corpus: str, config: "LoopConfig", endpoints_file: Path | None
) -> dict[str, Any]:
    """Estimate the first round, without storing anything.

    Args:
        session: of the farm's database.
        corpus: the corpus' name.
        config: the loop's; `api.queue.check_start` has let it pass.
        endpoints_file: the operator's, None for none.

    Returns:
        JSON: a row for each voter, the total, what escalation saves, notes.

    Raises:
        InvalidConfig: a voter, or an endpoint that it names, is wrong.
        NotFound: no corpus has that name.
    """
    from db.queries import corpora
    from kompress.teachers.endpoints import read_endpoints

    first = config.resolve(1)
    held = corpora.get_corpus(session, corpus)
    sampled, wave_1, later = _expect(session, held, first)
    endpoints = read_endpoints(endpoints_file)
    rows = []
    for voter in first.voters:
        usage = _usage(voter, endpoints, sampled)
        documents = wave_1 if voter.wave == 1 else later
        rows.append(_row(voter, endpoints, usage, documents, wave_1))
    for judge in () if first.protocol == "words" else first.pairwise.judges:
        usage = _usage_of_judge(judge, endpoints, sampled, first)
        rows.append(_row(judge, endpoints, usage, wave_1, wave_1) | {"wave": "pairs"})
    notes = [*_notes(rows), *_giant_note(sampled)]
    return _sum_up(rows, config.stop.max_usd, notes)


def _giant_note(sampled: "Sequence[str]") -> list[str]:
    """Say how much of the texts no word rule can take apart, where it is much."""
    from kompress.words import count_giant

    counts = [count_giant(text) for text in sampled]
    giant, whole = (sum(count[part] for count in counts) for part in (0, 1))
    if not giant:
        return []
    share = f"{giant / whole:.1%} of the characters lie in words of over 64"
    return [f"{share}: one unit each, all of it kept or nothing"]


def print_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """Print an estimate for people, or as JSON."""
    if as_json:
        print_json(plan)
        return
    total = {"voter": "all", "wave": "", "documents": "", **plan["total"]}
    print_table([*plan["voters"], total], COLUMNS, title="Round 1, nothing is stored")
    saved = plan["escalation_saves"]
    say(
        f"escalation saves about {saved['usd']:.2f} USD and "
        f"{saved['input_tokens'] + saved['output_tokens']:,} tokens against asking "
        "every voter about everything"
    )
    for note in plan["notes"]:
        say(f"- {note}")


def _expect(
    session: "Session", corpus: "Corpus", first: "RoundConfig"
) -> tuple[list[str], float, float]:
    """Read sampled texts, and expect how many documents wave 1 and later ones ask."""
    from db.queries import corpora, evidence, texts
    from kompress.labelling.eligibility import origin_in
    from kompress.teachers.estimate import expected_documents

    train, audit = (
        corpora.documents(session, corpus.id, corpus.last_seq, split=split)
        for split in ("train", "audit")
    )
    ids = [document.text_id for document in (*train, *audit)]
    sampled = list(texts.load_texts(session, _spread(ids)).values())
    runs = evidence.list_corpus_gold_runs(session, corpus.id, corpus.last_seq)
    golden = [d for d in train if origin_in(runs, d.text_id) is not None]
    wave_1, later = expected_documents(
        first,
        num_train=len(train),
        num_audit=len(audit),
        num_gold=len(golden),
        gold_words=sum(document.num_words for document in golden),
    )
    return sampled, wave_1, later


def _spread(ids: Sequence[int]) -> list[int]:
    """Take documents at equal distances."""
    step = max(1, -(-len(ids) // MAX_SAMPLED))
    return sorted(set(ids[::step]))


def _load(voter: "VoterConfig", endpoints: "Mapping[str, Endpoint]") -> Any:
    """Make a teacher or judge as `select` will; None for what asks no model."""
    from kompress.voters import VOTERS, make_voter
    from kompress.voters.teacher import declare

    if VOTERS[voter.kind].needs_engine is None:
        return None
    snapshot = declare(voter.params, endpoints)
    return make_voter(voter.name, voter.kind, voter.params, snapshot)


def _usage(
    voter: "VoterConfig", endpoints: "Mapping[str, Endpoint]", sampled: Sequence[str]
) -> "Usage":
    """Lay out the requests about the sampled texts, and average them."""
    import numpy as np

    from kompress.errors import VoteFailed
    from kompress.teachers.estimate import Usage, average_usage
    from kompress.words import word_list

    teacher = _load(voter, endpoints)
    if teacher is None:
        return Usage(0, 0, 0)
    laid_out: list[tuple[Request, ...]] = []
    for text in sampled:
        # A draft that keeps everything is the longest one.
        draft_N = np.ones(len(word_list(text)), dtype=np.bool_)
        try:
            laid_out.append(teacher.requests(text, draft_N=draft_N))
        except VoteFailed:  # costs nothing; it becomes a row of `failures`
            laid_out.append(())
    return average_usage(laid_out).times(voter.replicates)


def _usage_of_judge(
    judge: "VoterConfig",
    endpoints: "Mapping[str, Endpoint]",
    sampled: Sequence[str],
    config: "RoundConfig",
) -> "Usage":
    """Ask about every pair of as many references as there may be, each half a text."""
    from kompress.teachers.estimate import average_usage, pairs_of
    from kompress.words import join_kept, word_list

    found = _load(judge, endpoints)
    # One of each voter and sample, the student's, an extractive one.
    samples = [int(v.params.get("samples", 1)) * v.replicates for v in config.voters]
    num_candidates = min(config.pairwise.max_candidates, sum(samples) + 2)
    laid_out = []
    for text in sampled:
        half = join_kept(text, [n % 2 == 0 for n in range(len(word_list(text)))])
        reference = found.shown_reference(text, half)
        laid_out.append(
            (found.protocol.request(found.shown(text), reference, reference),)
        )
    return average_usage(laid_out).times(
        pairs_of(num_candidates, config.pairwise.cycles)
    )


def _row(
    voter: "VoterConfig",
    endpoints: "Mapping[str, Endpoint]",
    usage: "Usage",
    documents: float,
    all_documents: float,
) -> dict[str, Any]:
    """Lay out one voter's line; `full_usd` is for asking it about everything."""
    from kompress.teachers.estimate import usd_of

    name = str(voter.params.get("endpoint", ""))
    model = str(voter.params.get("model", ""))
    price = endpoints[name].prices.get(model) if name in endpoints else None
    asked, everything = usage.times(documents), usage.times(all_documents)
    return {
        "voter": voter.name,
        "wave": voter.wave,
        "endpoint": name,
        "documents": round(documents),
        "requests": round(asked.num_requests),
        "input_tokens": round(asked.input_tokens),
        "output_tokens": round(asked.output_tokens),
        "usd": usd_of(asked, price),
        "full_input_tokens": round(everything.input_tokens),
        "full_output_tokens": round(everything.output_tokens),
        "full_usd": usd_of(everything, price),
    }


def _sum_up(
    rows: list[dict[str, Any]], max_usd: float | None, notes: list[str]
) -> dict[str, Any]:
    """Add up the voters, and compare with no escalation."""
    kinds = ("input_tokens", "output_tokens", "usd")
    total = {kind: sum(row[kind] for row in rows) for kind in ("requests", *kinds)}
    saves = {
        kind: sum(row[f"full_{kind}"] - row[kind] for row in rows) for kind in kinds
    }
    if max_usd is not None and total["usd"] > max_usd:
        notes.append(
            f"stop.max_usd is {max_usd:g}: what the budget cannot pay is left out, "
            "and asked when a later loop can"
        )
    return {
        "voters": rows,
        "total": total,
        "escalation_saves": saves,
        "max_usd": max_usd,
        "notes": notes,
    }


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what the figures rest on."""
    notes = list(NOTES)
    if any(row["wave"] == "pairs" for row in rows):
        notes.append(
            "comparisons: every voter and sample is taken to give a reference, each of "
            "half its text"
        )
    return notes
