"""What could not be taken in, who changed what, who was erased, who wants no personal list; and indexes for retention.

It only adds: processes of the version before go on working while and after it runs.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE dead_letters (
            letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            digest text NOT NULL UNIQUE,
            kind text NOT NULL CHECK (kind IN ('post', 'exposure', 'behaviour')),
            item text,
            reason text NOT NULL,
            source text NOT NULL,
            tries integer NOT NULL DEFAULT 1,
            first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            last_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("""
        CREATE TABLE audit (
            entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            actor text NOT NULL,
            verb text NOT NULL,
            subject text NOT NULL,
            before jsonb,
            after jsonb,
            request_id text
        )""")
    # By keyed hash: the table that keeps a person away must not name the person.
    op.execute("""
        CREATE TABLE erased_users (
            user_hash text COLLATE "C" PRIMARY KEY,
            receipt_id text NOT NULL UNIQUE,
            erased_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("ALTER TABLE users ADD COLUMN personalised boolean NOT NULL DEFAULT true")
    op.execute("CREATE INDEX users_not_personalised ON users (user_id) WHERE NOT personalised")
    op.execute("CREATE INDEX exposures_shown ON exposures USING brin (shown_at) WITH (pages_per_range = 16)")
    op.execute("CREATE INDEX behaviours_at ON behaviours USING brin (at) WITH (pages_per_range = 16)")


def downgrade() -> None:
    op.execute("DROP INDEX behaviours_at, exposures_shown, users_not_personalised")
    op.execute("ALTER TABLE users DROP COLUMN personalised")
    op.execute("DROP TABLE erased_users, audit, dead_letters")
