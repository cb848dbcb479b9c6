"""Everything that is measured of a student on one suite: what `farm eval` prints."""

from kompress.config import EvaluationConfig
from kompress.evaluation.evaluate import score_rows
from kompress.evaluation.guards import guard_rows
from kompress.evaluation.robustness import robustness_rows
from kompress.evaluation.rules import rule_rows, time_override
from kompress.evaluation.sheet import CountTokens
from kompress.evaluation.subject import Progress, Scorer, take, tokens_of
from kompress.evaluation.suites import Suite
from kompress.types import Score


def evaluate_all(
    scorer: Scorer,
    suite: Suite,
    config: EvaluationConfig | None = None,
    *,
    seed: int = 0,
    rules: bool = False,
    robustness: bool = False,
    progress: Progress | None = None,
    count_tokens: CountTokens | None = None,
    other_domain: Suite | None = None,
) -> list[Score]:
    """Score a student on a suite: figures, guards and, on request, the rest.

    Args:
        scorer: a student, or a baseline.
        suite: the texts, at least one.
        config: rule sets, keep_rates and number of bootstraps; the defaults if None.
        seed: decides the perturbations and the resamples of the intervals.
        rules: add the rows of `rule_rows` and `time_override`.
        robustness: add the rows of `robustness_rows`, which scores the suite once more
            for each perturbation.
        progress: passed to the scorer for the suite itself.
        count_tokens: gives each word's tokens; None means the scorer's own tokenizer,
            and no token_savings where it has none.
        other_domain: for `robustness_rows`.

    Returns:
        Rows for `scores`, no two with one key: those of `evaluate_scores`, of
        `guard_rows`, and what was asked for.

    Raises:
        InvalidSuite: the suite is empty or its gold does not fit.
        InvalidVotes: the scorer did not give one number in [0, 1] a word.

    Source: design §1 "Honest figures".
    """
    scores = scorer.score([text.text for text in suite.texts], progress=progress)
    subject = take(
        scores,
        suite,
        config,
        seed=seed,
        count_tokens=count_tokens or tokens_of(scorer),
    )
    rows = [*score_rows(subject), *guard_rows(subject)]
    if rules:
        rows += [*rule_rows(subject), time_override(suite, subject.config)]
    if robustness:
        rows += robustness_rows(scorer, subject, seed=seed, other_domain=other_domain)
    unique: dict[tuple[object, ...], Score] = {}
    for row in rows:
        unique.setdefault(_key(row), row)
    return list(unique.values())


def _key(row: Score) -> tuple[object, ...]:
    """Give what is unique in `scores`."""
    return (
        row.suite,
        row.stratum,
        row.rule_set,
        row.definition,
        row.override,
        row.target_keep_rate,
        row.step,
        row.metric,
        row.text_sha256,
    )
