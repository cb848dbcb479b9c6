"""The first schema: tables and indexes, as migrations/schema/0001_*.sql hold them."""

from collections.abc import Sequence
from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

FOLDER = Path(__file__).resolve().parent.parent / "schema"
FILES = ("0001_inputs.sql", "0001_results.sql")
TABLES = (
    "answers, api_keys, candidates, comparisons, corpora, costs, document_bands, "
    "documents, events, failures, gold, jobs, label_counts, labels, loops, residuals, "
    "round_votes, rounds, rule_stats, scores, selections, shard_documents, students, "
    "text_strata, texts, voter_stats, voters, votes, workers"
)


def upgrade() -> None:
    # Without parameters the driver reads % as itself.
    options = {"no_parameters": True}
    for name in FILES:
        sql = (FOLDER / name).read_text()
        op.get_bind().exec_driver_sql(sql, execution_options=options)


def downgrade() -> None:
    # One statement: loops and students refer to each other.
    op.execute(f"DROP TABLE {TABLES}")
