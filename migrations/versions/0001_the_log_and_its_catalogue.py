"""Posts, users, the exposure log, and what the jobs need."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE posts (
            post_id text COLLATE "C" PRIMARY KEY,
            title text NOT NULL,
            picture_hash text,
            picture_status text NOT NULL DEFAULT 'none',
            category text,
            city text,
            latitude double precision,
            longitude double precision,
            author_id text,
            tags text[] NOT NULL DEFAULT '{}',
            published_at timestamptz,
            expires_at timestamptz,
            attributes jsonb NOT NULL DEFAULT '{}',
            hidden boolean NOT NULL DEFAULT false,
            deleted_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("CREATE INDEX posts_changed ON posts (changed_at)")
    op.execute("""
        CREATE TABLE users (
            user_id text COLLATE "C" PRIMARY KEY,
            attributes jsonb NOT NULL DEFAULT '{}',
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    # Attributes as comparable words, for attribute peers: ("age", "20-24"), ("gender", "M").
    op.execute("""
        CREATE TABLE user_traits (
            user_id text COLLATE "C" NOT NULL REFERENCES users ON DELETE CASCADE,
            name text NOT NULL,
            value text NOT NULL,
            PRIMARY KEY (user_id, name, value)
        )""")
    op.execute("CREATE INDEX user_traits_value ON user_traits (name, value, user_id)")
    # Not partitioned: the client's id must be unique over all days, and behaviours join by it.
    op.execute("""
        CREATE TABLE exposures (
            exposure_id text COLLATE "C" PRIMARY KEY,
            user_id text COLLATE "C" NOT NULL,
            post_id text COLLATE "C" NOT NULL,
            shown_at timestamptz NOT NULL,
            position integer,
            scene text,
            recommendation_id text,
            arrived_at timestamptz NOT NULL DEFAULT now()
        )""")
    op.execute("CREATE INDEX exposures_of_user ON exposures (user_id, shown_at, exposure_id)")
    op.execute("CREATE INDEX exposures_arrived ON exposures USING brin (arrived_at) WITH (pages_per_range = 16)")
    op.execute("""
        CREATE TABLE behaviours (
            behaviour_id text COLLATE "C" PRIMARY KEY,
            user_id text COLLATE "C" NOT NULL,
            post_id text COLLATE "C" NOT NULL,
            kind text NOT NULL CHECK (kind IN ('click', 'like', 'share', 'favourite', 'comment')),
            at timestamptz NOT NULL,
            exposure_id text COLLATE "C",
            arrived_at timestamptz NOT NULL DEFAULT now()
        )""")
    op.execute("CREATE INDEX behaviours_of_user ON behaviours (user_id, at)")
    op.execute("CREATE INDEX behaviours_likes_of_post ON behaviours (post_id, user_id) WHERE kind = 'like'")
    op.execute("CREATE INDEX behaviours_arrived ON behaviours USING brin (arrived_at) WITH (pages_per_range = 16)")
    op.execute("""
        CREATE TABLE peers (
            user_id text COLLATE "C" NOT NULL,
            kind text NOT NULL CHECK (kind IN ('similar_user', 'similar_attributes')),
            peer_id text COLLATE "C" NOT NULL,
            overlap real NOT NULL,
            computed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (user_id, kind, peer_id)
        )""")
    op.execute("CREATE INDEX peers_peer ON peers (peer_id)")
    op.execute("""
        CREATE TABLE jobs (
            job_id text PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('reindex', 'train')),
            state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed')),
            step text NOT NULL DEFAULT '',
            done_count bigint NOT NULL DEFAULT 0,
            total_count bigint,
            error text,
            generation text,
            requested_by text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            started_at timestamptz,
            finished_at timestamptz,
            heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("CREATE INDEX jobs_created ON jobs (created_at DESC)")
    op.execute("""
        CREATE TABLE api_keys (
            key_id text PRIMARY KEY,
            role text NOT NULL CHECK (role IN ('client', 'ops', 'admin')),
            name text NOT NULL,
            secret_sha256 text NOT NULL UNIQUE,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            revoked_at timestamptz
        )""")


def downgrade() -> None:
    tables = "api_keys, jobs, peers, behaviours, exposures, user_traits, users, posts"
    op.execute(f"DROP TABLE {tables}")
