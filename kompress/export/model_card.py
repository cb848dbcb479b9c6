"""The model card: what an exported student is, what it scored and what it saw."""

import json
from collections.abc import Sequence
from typing import Any

from kompress.students.student import Student
from kompress.types import Score

LICENSE = "apache-2.0"
TAGS = ("kompress", "headroom", "prompt-compression", "text-compression", "modernbert")
# The figures that decide; the rest is in the farm's tables.
METRICS = ("exact_pct", "f1", "keep_rate", "override_delta")
STRATA = ("all", "plain")
MODERNBERT_VOCAB = 50_368
COLUMNS = ("suite", "words", "metric", "value", "interval", "keep_rate", "target",
           "rule set", "definition", "override", "n")  # fmt: skip
SCORE_HEAD = f"""Scored without override unless a row names one. An empty target is the
student's own threshold; intervals are 95 %.

| {" | ".join(COLUMNS)} |
|{"---|" * len(COLUMNS)}"""
LIMITS = """\
- It drops words: what it returns is to be read by a model that needs the gist and the
  facts, not to be executed, parsed or quoted.
- Without an override of must-keep words, numbers, paths, flags and negations can be
  lost; with it, more words stay.
- JSON and tables may no longer parse after compression.
- It was trained and measured on the data named above; other kinds of text and other
  languages are untested.
- headroom's unbatched PyTorch backend decides by another rule (argmax, or 0.3 < p ≤ 0.5
  where the span score is above 0.5); the figures are of the rule above, which its ONNX
  backend and batched GPU path use.
- The 8-bit file rounds weights: about one decision in a hundred may differ."""


def write_card(
    student: Student,
    repo_id: str,
    scores: Sequence[Score] = (),
    label_source: str = "",
    *,
    has_merged: bool = True,
) -> str:
    """Write a student's model card.

    Args:
        student: the student; its recipe and lineage are told.
        repo_id: the model's name on a hub, `org/name`.
        scores: what it scored; those about one text or a training step are left out.
        label_source: the labels that it was trained on, '' where that is not known.
        has_merged: whether the folder holds `merged.pt`.

    Returns:
        Markdown with the hub's front matter.

    No figure stands without its keep_rate, rule set and n (design §1).
    """
    parts = [
        _front_matter(student),
        f"# {repo_id.rpartition('/')[2]}",
        _purpose(student),
        "## Use",
        _use(repo_id, has_merged=has_merged),
        "## Scores",
        _score_table(scores),
        "## Data lineage",
        _lineage(student, label_source),
        "## Recipe",
        f"```json\n{json.dumps(student.recipe, indent=1, sort_keys=True)}\n```",
        "## Limits",
        _limits(student, has_merged=has_merged),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(student: Student) -> str:
    tags = [*TAGS, student.config.variant.replace("_", "-")]
    lines = [
        "---",
        f"license: {LICENSE}",
        "library_name: transformers",
        "pipeline_tag: token-classification",
        "inference: false",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
    ]
    return "\n".join(lines)


def _purpose(student: Student) -> str:
    config = student.config
    heads = "token and span heads" if config.variant == "dual_head" else "a token head"
    return (
        f"A text compressor: it drops whole words and keeps the rest as they stand. "
        f"ModernBERT of {config.num_layers} layers x {config.hidden_size} with "
        f"{heads}, vocabulary {config.vocab_size:,}.\n\n"
        f"Student `{student.id}` of the kompress farm."
    )


def _use(repo_id: str, *, has_merged: bool) -> str:
    backends = "`onnx` and `pytorch`" if has_merged else "`onnx` alone"
    return f"""In headroom-ai 0.42.0 (backends: {backends}):

```python
from headroom.transforms.kompress_compressor import KompressCompressor, KompressConfig

compressor = KompressCompressor(KompressConfig(model_id="{repo_id}"))
```

headroom takes its tokenizer from `answerdotai/ModernBERT-base`; unless this student's
is the same, give headroom a hub cache that holds both.

In the kompress farm: `kompress.students.load(FOLDER)`. The encoder alone, in
transformers:

```python
AutoModel.from_pretrained(FOLDER, key_mapping={{"^encoder\\\\.": ""}})
```

A word's score is the maximum over its tokens of p·(0.5 + 0.5·s); above 0.5 it is kept.
Tokenise `text.split()` with `is_split_into_words=True`, 350 words and 512 tokens a
chunk."""


def _score_table(scores: Sequence[Score]) -> str:
    chosen = [
        score
        for score in scores
        if not score.text_sha256
        and score.step == 0
        and score.metric in METRICS
        and score.stratum in STRATA
        and score.value is not None
    ]
    if not chosen:
        return "Not measured."
    rates = {_setting(s): s.value for s in chosen if s.metric == "keep_rate"}
    rows = [
        _score_row(score, rates.get(_setting(score)))
        for score in chosen
        if score.metric != "keep_rate"
    ]
    return "\n".join([SCORE_HEAD, *rows])


def _setting(score: Score) -> tuple[Any, ...]:
    """What a keep_rate and the figure beside it share."""
    return score.suite, score.override, score.target_keep_rate


def _score_row(score: Score, keep_rate: float | None) -> str:
    interval = ""
    if score.ci_low is not None and score.ci_high is not None:
        interval = f"{score.ci_low:.3f}–{score.ci_high:.3f}"
    rate = "–" if keep_rate is None else f"{keep_rate:.3f}"
    target = "" if score.target_keep_rate is None else f"{score.target_keep_rate:g}"
    cells = (score.suite, score.stratum, score.metric, f"{score.value:.3f}", interval,
             rate, target, score.rule_set or "–", score.definition,
             score.override or "none", str(score.n))  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _lineage(student: Student, label_source: str) -> str:
    lineage = student.lineage
    texts = lineage.get("texts")
    parent = lineage.get("parent")
    lines = [
        f"- parent: {f'`{parent}`' if parent else 'none (from random weights)'}",
        f"- labels: {label_source or 'not recorded'}",
    ]
    if isinstance(texts, list):
        lines.append(
            f"- texts: {len(texts):,}; their SHA-256 are listed in `lineage.json`"
        )
    names = ("data", "tokenizer", "num_tokens", "num_steps", "epochs", "seed", "source",
             "versions")  # fmt: skip
    lines += [f"- {name}: `{lineage[name]}`" for name in names if name in lineage]
    return "\n".join(lines)


def _limits(student: Student, *, has_merged: bool) -> str:
    limits = [LIMITS]
    if not has_merged:
        limits.append(
            "- There is no `merged.pt`: this student has one head, headroom's PyTorch "
            "model two.\n  Use its ONNX backend."
        )
    if student.config.vocab_size < MODERNBERT_VOCAB:
        limits.append("- Its vocabulary is small and its own, not ModernBERT's.")
    return "\n".join(limits)
