"""Scenes with their parameters, experiments with their arms, and what a showing knows of how its page was made."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE scenes (
            scene text COLLATE "C" PRIMARY KEY,
            parameters jsonb NOT NULL,
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("""
        CREATE TABLE experiments (
            experiment text COLLATE "C" PRIMARY KEY,
            scene text COLLATE "C" NOT NULL,
            arms jsonb NOT NULL,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            ended_at timestamptz
        )""")
    op.execute("CREATE UNIQUE INDEX experiments_running ON experiments (scene) WHERE ended_at IS NULL")
    op.execute("""
        ALTER TABLE exposures ADD COLUMN experiment text COLLATE "C", ADD COLUMN arm text COLLATE "C",
            ADD COLUMN propensity real""")
    op.execute("""
        CREATE INDEX exposures_of_experiment ON exposures (experiment, shown_at) WHERE experiment IS NOT NULL""")


def downgrade() -> None:
    op.execute("ALTER TABLE exposures DROP COLUMN experiment, DROP COLUMN arm, DROP COLUMN propensity")
    op.execute("DROP TABLE experiments, scenes")
