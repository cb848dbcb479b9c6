"""The demo in plain words, every one of them computed from the figures."""

from typing import Any

from api.cli.demo.figures import (
    FIXED_RATES,
    Figures,
    ensemble_rows,
    labelling_rule,
    overridden_rows,
    raw_rows,
    score,
)

# A category of a handful of words says nothing about a voter.
MIN_WORDS = 20
# Differences below this are called the same.
SAME = 0.005


def tell(figures: Figures) -> list[str]:
    """Say what was lost, what got better, what got worse, and how it ended.

    Returns:
        Paragraphs; no figure without its keep_rate where one applies.
    """
    numbers = [row["round"] for row in figures["round_summary"]]
    if not numbers:
        return ["No round was started."]
    paragraphs = [_tell_losses(figures, numbers[0]), _tell_ensemble(figures)]
    paragraphs += [_tell_change(figures, n) for n in numbers[1:]]
    paragraphs += [_tell_override(figures, numbers[-1]), _tell_end(figures)]
    return [paragraph for paragraph in paragraphs if paragraph]


def _tell_losses(figures: Figures, number: int) -> str:
    rows = raw_rows(figures, number)
    whole = rows.pop("all", None)
    if whole is None or whole["mk_in_ref"] is None:
        return ""
    large = [row for row in rows.values() if row["num_must_keep"] >= MIN_WORDS]
    large.sort(key=lambda row: row["mk_in_ref"])
    source = figures["loop"]["label_source"][number]
    text = (
        f"Round {number} trained on {source} labels, which keep "
        f"{whole['keep_rate']:.0%} of the words and "
        f"{whole['mk_in_ref']:.0%} of the must-keep words"
    )
    if not large:
        return f"{text}."
    lost = ", ".join(f"{r['category']} ({1 - r['mk_in_ref']:.0%})" for r in large[:3])
    best = large[-1]
    return (
        f"{text}. They lose most of {lost}; they lose least of {best['category']} "
        f"({1 - best['mk_in_ref']:.0%})."
    )


def _tell_ensemble(figures: Figures) -> str:
    rows = [row for row in ensemble_rows(figures) if row["f1"] is not None]
    voters = [row for row in rows if row["subject_kind"] == "voter"]
    rules = [row for row in rows if row["subject_kind"] == "rule"]
    if not voters or not rules:
        return ""
    voter = max(voters, key=lambda row: row["f1"])
    best = max(rules, key=lambda row: row["f1"])
    label = labelling_rule(figures, rows)
    rule = next((row for row in rules if row["subject"] == label), best)
    verb = _compare(rule["f1"], voter["f1"], "beats", "equals", "does not reach")
    text = (
        f"Against planted gold the rule of the labels, {rule['subject']} (F1 "
        f"{rule['f1']:.3f} at keep_rate {rule['keep_rate']:.2f}), {verb} "
        f"the best single voter, "
        f"{voter['subject']} (F1 {voter['f1']:.3f} at {voter['keep_rate']:.2f})"
    )
    if best["f1"] - rule["f1"] >= SAME:
        text += (
            f"; it is not the best rule: that is {best['subject']} (F1 "
            f"{best['f1']:.3f} at {best['keep_rate']:.2f})"
        )
    elif len(rules) > 1:
        text += f", and no other of the {len(rules)} rules is better"
    number = rows[0]["round"]
    collapsed = sorted(
        {
            row["stratum"]
            for row in figures["ensemble_paradox"]
            if row["round"] == number and row["collapsed"] and row["stratum"] != "all"
        }
    )
    if collapsed:
        return (
            f"{text}. In {', '.join(collapsed)} some rule is surely worse than its "
            "best voter there."
        )
    return f"{text}. In no category is a rule surely worse than its best voter."


def _tell_change(figures: Figures, number: int) -> str:
    before, after = number - 1, number
    own = figures["student_scores"]
    source = figures["loop"]["label_source"][number]
    better: list[str] = []
    worse: list[str] = []
    same: list[str] = []
    # Survival grows with what is kept: only at one keep_rate can it be compared.
    fixed = {"target_keep_rate": FIXED_RATES[-1]}
    for label, suite, metric, wanted in (
        ("F1 against gold", "planted", "f1", {}),
        ("decision_pct", "planted", "decision_pct", fixed),
        ("fact_pct", "planted", "fact_pct", fixed),
        ("exact_pct on agent texts", "agent", "exact_pct", fixed),
        ("exact_pct on dense texts", "dense", "exact_pct", fixed),
    ):
        old = score(own, before, suite, metric, **wanted)
        new = score(own, after, suite, metric, **wanted)
        if old is None or new is None:
            continue
        rates = [score(own, n, suite, "keep_rate", **wanted) for n in (before, after)]
        change = f"{label} {old:.3f} → {new:.3f} (keep_rate {_arrow(rates)})"
        _compare(new, old, better, same, worse).append(change)
    parts = []
    if better:
        parts.append("better: " + ", ".join(better))
    if worse:
        parts.append("worse: " + ", ".join(worse))
    if same:
        parts.append("the same: " + ", ".join(same))
    return f"Round {number}, on {source} labels: {'; '.join(parts)}." if parts else ""


def _tell_override(figures: Figures, number: int) -> str:
    raw, over = raw_rows(figures, number), overridden_rows(figures, number)
    summary = figures["round_summary"][-1]
    if "all" not in raw or "all" not in over or summary["override_delta"] is None:
        return ""
    missed = [
        row["category"]
        for row in over.values()
        if row["category"] != "all"
        and row["num_must_keep"] >= MIN_WORDS
        and row["mk_in_ref"] < raw["all"]["mk_in_ref"]
    ]
    text = (
        f"In round {number} the override adds {summary['override_delta']:.3f} to "
        f"exact_pct on agent texts; in the labels it lifts mk_in_ref from "
        f"{raw['all']['mk_in_ref']:.3f} to {over['all']['mk_in_ref']:.3f} and "
        f"keep_rate from {raw['all']['keep_rate']:.2f} to "
        f"{over['all']['keep_rate']:.2f}"
    )
    return (
        f"{text}; it helps little with {', '.join(missed)}." if missed else f"{text}."
    )


def _tell_end(figures: Figures) -> str:
    loop = figures["loop"]
    text = f"The loop {loop['status']}: {loop['stop_reason'] or 'no reason stored'}."
    promoted = loop["promoted_student"]
    if promoted is None:
        return f"{text} No student was promoted."
    of_round = {row["student"]: row["round"] for row in figures["round_summary"]}
    last = max(of_round.values())
    number = of_round.get(promoted)
    which = "the last" if number == last else "not the last"
    reason = loop["promotion"].get("reason", "")
    return f"{text} Promoted: student {promoted} of round {number}, {which}" + (
        f" ({reason})." if reason else "."
    )


def _compare(new: float, old: float, better: Any, same: Any, worse: Any) -> Any:
    if abs(new - old) < SAME:
        return same
    return better if new > old else worse


def _arrow(values: list[float | None]) -> str:
    texts = ["–" if value is None else f"{value:.2f}" for value in values]
    return " → ".join(dict.fromkeys(texts))  # once, if it stayed
