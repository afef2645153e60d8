"""Posts that come first for everybody, the latest pinned first."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE posts ADD COLUMN pinned_at timestamptz")
    op.execute("CREATE INDEX posts_pinned ON posts (pinned_at) WHERE pinned_at IS NOT NULL")


def downgrade() -> None:
    op.execute("ALTER TABLE posts DROP COLUMN pinned_at")
