"""Posts by their author: an erasure has to find them while it holds the log alone."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("CREATE INDEX posts_of_author ON posts (author_id) WHERE author_id IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX posts_of_author")
