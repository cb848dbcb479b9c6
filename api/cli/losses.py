"""`farm corpus losses`: which must-keep words a corpus' references lost."""

from typing import Annotated, Any

import typer

from api.cli.output import AsJson, print_json, say, show


def show_losses(
    name: Annotated[str, typer.Argument(help="The corpus.")],
    origin: Annotated[
        str, typer.Option(help="Whose references; default: every origin.")
    ] = "",
    rule_set: Annotated[
        str, typer.Option(help="Whose must-keep words; --json shows every rule set.")
    ] = "",
    by_kind: Annotated[
        bool, typer.Option("--by-kind", help="A row for each kind of document too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how many numbers, flags, constants … the references lost.

    `of_all` is the published share, of the must-keep words of every category;
    `of_category` that of the category's own. With --json every kind and rule set.
    """
    rows = list(_tabulate(name, origin, rule_set or ("" if as_json else "farm")))
    if as_json:
        print_json(rows)
        return
    show(
        [row for row in rows if by_kind or row["kind"] == "all"],
        as_json=False,
        empty=f"corpus {name} has no references; `farm corpus add {name} FILE "
        "--references ORIGIN` adds some",
    )
    if rows:
        say(
            f"must-keep words of rule set {rule_set or 'farm'}, matched as a multiset; "
            "every document that has a reference"
        )


def _tabulate(name: str, origin: str, rule_set: str) -> list[dict[str, Any]]:
    from api.cli.connection import open_session
    from db.queries import candidates, corpora
    from kompress.metrics.losses import tabulate_losses
    from kompress.must_keep import RULE_VERSIONS, check_rule_set

    if rule_set:
        check_rule_set(rule_set)
    rule_sets = (rule_set,) if rule_set else tuple(RULE_VERSIONS)
    with open_session() as session:
        corpus = corpora.get_corpus(session, name)
        origins = [origin] if origin else candidates.list_origins(session, corpus.id)
        return [
            {
                "origin": each,
                "rule_set": row.rule_set,
                "kind": row.kind,
                "category": row.category,
                "must_keep": row.num_must_keep,
                "kept": row.num_kept,
                "lost": row.num_lost,
                "of_all": row.share_of_all,
                "of_category": row.share_of_category,
            }
            for each in origins
            for row in tabulate_losses(
                candidates.iter_pairs(session, corpus.id, each), rule_sets=rule_sets
            )
        ]
