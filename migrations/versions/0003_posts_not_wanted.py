"""What users do not want: an explicit signal beside the five behaviours, which the networks do not predict."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE rejections (
            behaviour_id text COLLATE "C" PRIMARY KEY,
            user_id text COLLATE "C" NOT NULL,
            post_id text COLLATE "C" NOT NULL,
            at timestamptz NOT NULL,
            exposure_id text COLLATE "C",
            arrived_at timestamptz NOT NULL DEFAULT now()
        )""")
    op.execute("CREATE INDEX rejections_of_user ON rejections (user_id, at)")


def downgrade() -> None:
    op.execute("DROP TABLE rejections")
