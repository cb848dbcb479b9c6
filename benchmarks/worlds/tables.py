"""Lay the figures out as Markdown; nothing in it depends on the clock."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.worlds.draws import World
from benchmarks.worlds.registry import WORLDS
from benchmarks.worlds.scores import mean_of
from benchmarks.worlds.summary import Finding, Summary, check
from benchmarks.worlds.trials import BAYES, NO_GOLD
from kompress.types import STRATA, FloatArray

DOC = Path(__file__).parents[2] / "docs" / "worlds.md"
BEGIN, END = "<!-- worlds: begin -->", "<!-- worlds: end -->"

VERDICT_HEAD = (
    "| world | gold | F1 | of Bayes | log-loss | of Bayes | ECE | least margin | "
    "F1 - majority | covered | verdict |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"
)
RULE_HEAD = (
    "| rule | F1 | log-loss | ECE | balanced | least margin | covered | sd |{}\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|{}"
)


def write_doc(text: str, path: Path = DOC) -> None:
    """Put a text between the markers of a page.

    Args:
        text: Markdown.
        path: the page; it has both markers.

    Raises:
        SystemExit: a marker is missing.

    Source: ours.
    """
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise SystemExit(f"{path} lacks {BEGIN} or {END}; expected both, in this order")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def format_verdicts(found: Mapping[str, Mapping[str, Summary]], default: str) -> str:
    """Format the default beside the Bayes-optimal, a row a world and gold."""
    lines = [VERDICT_HEAD]
    for name, summaries in found.items():
        for gold in (True, False):
            label = default + ("" if gold else NO_GOLD)
            if label in summaries:
                findings = check(WORLDS[name], summaries, default, gold=gold)
                lines.append(
                    _verdict(WORLDS[name], summaries, label, findings, gold=gold)
                )
    return "\n".join(lines)


def format_world(world: World, summaries: Mapping[str, Summary], *, timed: bool) -> str:
    """Format every rule in one world.

    Args:
        world: its notes stand above the table.
        summaries: by label.
        timed: with a column of seconds, which differ from run to run.

    Source: ours.
    """
    head = RULE_HEAD.format(" s |", "--:|") if timed else RULE_HEAD.format("", "")
    lines = [f"### {world.name}", "", world.notes]
    lines += [
        f"Not identifiable {what}: {why}."
        for what, why in (
            ("with its gold", world.with_gold),
            ("without gold", world.without_gold),
        )
        if why
    ]
    lines += ["", head]
    for label, own in summaries.items():
        least, stratum = own.least_margin
        covered = " | " if label == BAYES else f"{own.coverage:.2f} | {own.sd:.3f}"
        row = (
            f"| {label} | {_pair(own.f1_Z)} | {_pair(own.loss_Z)} | "
            f"{_pair(own.ece_Z)} | {_pair(own.balanced_Z)} | {least:+.3f} {stratum} | "
            f"{covered} |"
        )
        lines.append(row + (f" {own.seconds:.3f} |" if timed else ""))
    return "\n".join(lines)


def format_wrong(found: Mapping[str, Mapping[str, Summary]], default: str) -> str:
    """Say of each world with a wrong stratum what the default reports of it."""
    lines = []
    for name, summaries in found.items():
        s = WORLDS[name].wrong_stratum
        if s < 0:
            continue
        for label in (default, default + NO_GOLD):
            if label not in summaries:
                continue
            own, bayes = summaries[label], summaries[BAYES]
            said = own.undetectable
            reported = "says nothing of what it cannot detect"
            if said is not None:
                reported = f"says that it is {'un' * (STRATA[s] in said)}detectable"
            lines.append(
                f"- {name}, `{label}`: balanced accuracy on `{STRATA[s]}` "
                f"{own.balanced_S[s]:.3f} (Bayes-optimal {bayes.balanced_S[s]:.3f}); "
                f"{reported}."
            )
    return "\n".join(lines)


def failures(
    found: Mapping[str, Mapping[str, Summary]], default: str
) -> list[tuple[str, Finding]]:
    """List what the default misses, with the world."""
    return [
        (f"{name}{'' if gold else NO_GOLD}", finding)
        for name, summaries in found.items()
        for gold in (True, False)
        if default + ("" if gold else NO_GOLD) in summaries
        for finding in check(WORLDS[name], summaries, default, gold=gold)
        if not finding.passed
    ]


def _verdict(
    world: World,
    summaries: Mapping[str, Summary],
    label: str,
    findings: Sequence[Finding],
    *,
    gold: bool,
) -> str:
    own, bayes = summaries[label], summaries[BAYES]
    missed = [finding.name for finding in findings if not finding.passed]
    verdict = "reported only"
    if missed:
        verdict = f"**misses {', '.join(missed)}**"
    elif findings and world.is_identifiable(gold=gold):
        verdict = "meets all"
    elif findings:
        verdict = "reported only; warns of the stratum"
    majority = summaries.get("majority")
    gap = "" if majority is None else f"{(own.f1_Z - majority.f1_Z).mean():+.4f}"
    least, stratum = own.least_margin
    return (
        f"| {world.name} | {'yes' if gold else 'no'} | {own.f1_Z.mean():.4f} | "
        f"{own.f1_Z.mean() / bayes.f1_Z.mean():.4f} | {own.loss_Z.mean():.4f} | "
        f"{own.loss_Z.mean() / bayes.loss_Z.mean():.3f} | {own.ece_Z.mean():.4f} | "
        f"{least:+.3f} {stratum} | {gap} | {own.coverage:.2f} | {verdict} |"
    )


def _pair(values: FloatArray) -> str:
    mean, error = mean_of(values)
    return f"{mean:.4f} ± {error:.4f}"
