"""Joint votes, what rules learned of them, pairs of voters."""

from collections.abc import Sequence

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE vote_patterns (
            round_id bigint NOT NULL,
            shard integer NOT NULL,
            patterns bytea NOT NULL,
            CONSTRAINT pk_vote_patterns PRIMARY KEY (round_id, shard),
            CONSTRAINT fk_vote_patterns_round_id FOREIGN KEY (round_id)
                REFERENCES rounds (id) ON DELETE CASCADE
        )
    """)
    op.execute("""
        CREATE TABLE rule_fits (
            round_id bigint NOT NULL,
            rule text NOT NULL,
            data jsonb NOT NULL,
            CONSTRAINT pk_rule_fits PRIMARY KEY (round_id, rule),
            CONSTRAINT fk_rule_fits_round_id FOREIGN KEY (round_id)
                REFERENCES rounds (id) ON DELETE CASCADE
        )
    """)
    op.execute("""
        CREATE TABLE voter_pairs (
            round_id bigint NOT NULL,
            voter text NOT NULL,
            other text NOT NULL,
            stratum text NOT NULL,
            truth text NOT NULL,
            num_both_keep bigint NOT NULL,
            num_voter_keeps bigint NOT NULL,
            num_other_keeps bigint NOT NULL,
            num_both_drop bigint NOT NULL,
            CONSTRAINT pk_voter_pairs
                PRIMARY KEY (round_id, voter, other, stratum, truth),
            CONSTRAINT ck_voter_pairs_truth
                CHECK (truth IN ('keep', 'drop', 'unknown')),
            CONSTRAINT fk_voter_pairs_round_id FOREIGN KEY (round_id)
                REFERENCES rounds (id) ON DELETE CASCADE
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE voter_pairs")
    op.execute("DROP TABLE rule_fits")
    op.execute("DROP TABLE vote_patterns")
