"""Deployment settings, read from the environment (`TUWEN_*`); the only place that reads it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.errors import BadSettings

LONGEST_STATEMENT_SECONDS = 3600.0  # of batch work


class Settings(BaseSettings):
    """Where things are and how much is allowed; networks have `NetworkSizes`, training has `TrainingPlan`."""

    model_config = SettingsConfigDict(env_prefix="TUWEN_", frozen=True, extra="ignore")

    home: Path = Field(Path("var"), description="everything Tuwen writes: stores, pictures, generations, checkpoints")
    database_url: SecretStr | None = Field(
        None, description="postgresql://…; without it an embedded PostgreSQL is used"
    )
    redis_url: SecretStr | None = Field(None, description="redis://…; without it an embedded Valkey is used")
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=1, le=65535, description="port the API listens on")
    client_key: SecretStr | None = Field(
        None, description="bootstrap key of role client; made at first start if absent"
    )
    ops_key: SecretStr | None = Field(None, description="bootstrap key of role ops; made at first start if absent")
    admin_key: SecretStr | None = Field(None, description="bootstrap key of role admin; made at first start if absent")
    workers: int = Field(1, ge=1, le=64, description="API processes that share the port, the index and the memory")
    demo: bool = Field(False, description="serve /demo, where whoever reaches the port acts as a simulated person")

    log_level: str = Field(
        "INFO", pattern="(?i)^(debug|info|warning|error)$", description="DEBUG, INFO, WARNING or ERROR"
    )
    traces_endpoint: str | None = Field(None, description="where OpenTelemetry traces are sent: http://…/v1/traces")
    threads: int = Field(2, ge=1, le=64, description="compute threads of torch and FAISS in one process")
    plan: Path | None = Field(None, description="TOML file with [training] and [network] sections for the trainer")
    trainer_interval_minutes: float = Field(30, gt=0, description="longest pause between two training cycles")
    trainer_minimum_exposures: int = Field(
        1000, ge=1, description="new exposures that start a cycle before the pause ends"
    )
    reindex_interval_minutes: float = Field(60, gt=0, description="pause between two periodic reindexes by the trainer")
    generations_kept: int = Field(5, ge=2, le=100, description="generations kept on disk, the serving one included")
    reserved_seconds: float = Field(
        60, ge=0, le=3600, description="how long what was returned is held back from further calls; 0 = not at all"
    )
    head_seconds: float = Field(10, gt=0, description="longest wait for the whole head of a request")
    body_seconds: float = Field(20, gt=0, description="longest wait for the whole body of a request")
    request_max_bytes: int = Field(8 << 20, gt=0, description="largest request body")
    picture_max_bytes: int = Field(8 << 20, gt=0, description="largest picture file")
    picture_max_megapixels: float = Field(14, gt=0, description="largest picture, decoded; of a JPEG four times that")
    key_requests_per_second: float | None = Field(
        None, gt=0, description="most requests a second of one client key at each API process; none: any number"
    )
    dead_letters_kept: int = Field(10_000, ge=0, description="rejected items kept for another try")
    dead_letters_days: int = Field(30, ge=1, description="how long a rejected item is kept")
    audit_days: int = Field(365, ge=1, description="how long an entry of the audit is kept")
    retention_days: int | None = Field(None, ge=1, description="events older than that are deleted; none: never")
    database_timeout_seconds: float = Field(5, gt=0, description="longest wait for one database statement of the API")
    recommend_patience_seconds: float = Field(
        0.25, gt=0, description="longest wait of a recommendation for PostgreSQL before it goes on without"
    )
    drain_seconds: float = Field(1, ge=0, description="how long a stopped API still takes requests, not being ready")
    redis_timeout_seconds: float = Field(0.1, gt=0, description="longest wait for one Redis command")

    @property
    def generations(self) -> Path:
        """Folder of the generations and the pointer to the current one."""
        return self.home / "generations"

    @property
    def pictures(self) -> Path:
        """Folder of the stored pictures, by content hash."""
        return self.home / "pictures"

    @property
    def thumbnails(self) -> Path:
        """Folder of small copies of the pictures, by the hash of the large one."""
        return self.home / "thumbnails"

    @property
    def rejects(self) -> Path:
        """Folder of the bad rows of imports."""
        return self.home / "rejects"

    def for_batch_work(self) -> Settings:
        """The same for the trainer and the commands, whose statements may take long."""
        return self.model_copy(update={"database_timeout_seconds": LONGEST_STATEMENT_SECONDS})


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment for a process of the same deployment; without the API keys, which only the API needs."""
    values = settings.model_dump(exclude_none=True, exclude={"client_key", "ops_key", "admin_key"})
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()
    }
    ours = {f"TUWEN_{name.upper()}": str(value) for name, value in plain.items()}
    return {name: value for name, value in os.environ.items() if not name.startswith("TUWEN_")} | ours


def with_workers(settings: Settings, workers: int) -> Settings:
    """The same with another number of API processes. Raises BadSettings."""
    try:
        return Settings.model_validate({**settings.model_dump(), "workers": workers})
    except ValidationError:
        raise BadSettings(f"--workers {workers}: a number from 1 to 64") from None


def load_settings() -> Settings:
    """Read the environment. Raises BadSettings naming the variable, without its value."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = "TUWEN_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadSettings(f"{name}: {first['msg']}") from None
    return settings.model_copy(update={"home": settings.home.absolute()})
