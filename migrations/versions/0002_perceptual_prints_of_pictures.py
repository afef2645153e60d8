"""Perceptual prints of pictures, by which near copies are told; reindexing fills in those of earlier posts."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("ALTER TABLE posts ADD COLUMN picture_print bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE posts DROP COLUMN picture_print")
