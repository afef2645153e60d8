"""What is counted and timed of one process -> the text that Prometheus scrapes. Names end in their units."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REQUEST_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """One per application; nothing is registered globally."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)  # memory, CPU, open files; Linux only
        self.requests = self._counter("http_requests", "requests answered", "method", "route", "status")
        self.request_seconds = Histogram(
            "tuwen_http_request_seconds",
            "time from the request's arrival to the end of its answer",
            ["route"],
            buckets=REQUEST_SECONDS,
            registry=self.registry,
        )
        self.in_flight = self._gauge("requests_in_flight", "requests being worked on, by lane", "lane")
        self.shed = self._counter("requests_shed", "requests refused because their lane was full", "lane")
        self.recommended = self._counter("recommended_posts", "posts recommended, by reason", "reason")
        self.pages = self._counter("recommend_pages", "pages recommended, those of batches too", "degraded")
        self.shortfalls = self._counter("recommend_shortfalls", "pages with fewer posts than asked for")
        self.degraded = self._counter("recommend_degraded", "answers that went without something", "missing")
        self.items = self._counter("items", "posts, users, exposures, behaviours taken in", "kind", "status")
        self.reindex = self._counter("reindex_jobs", "reindex jobs ended", "state")
        self.generation = self._gauge("generation_info", "1 for the serving generation", "generation", "origin")
        self.generation_age = self._gauge("generation_age_seconds", "time since the serving generation was made")
        self.candidates = self._gauge("candidates", "posts that can be recommended")
        self.waiting = self._gauge("posts_waiting", "posts that wait to be encoded")
        self.learnt_age = self._gauge("learnt_age_seconds", "time since the newest exposure it has learnt from arrived")
        self.log_age = self._gauge("log_age_seconds", "time since the latest exposure arrived")
        self.job_age = self._gauge("job_age_seconds", "time since the last job that ended so", "kind", "state")
        self.job_seconds = self._gauge("job_seconds", "how long the last job that was done took", "kind")
        self.jobs_under_way = self._gauge("jobs_under_way", "jobs queued or running", "kind")
        self.training_rejected = self._gauge("training_rejected", "1 when the gate has refused the latest training")
        self.dead_letters = self._gauge("dead_letters", "rejected items that are kept for another try")
        self.store_up = self._gauge("store_up", "1 for a store that answers, else 0", "store")
        self.clock_ahead = self._gauge("database_clock_ahead_seconds", "the database's clock against ours")
        self.home_free_bytes = self._gauge("home_free_bytes", "free space on the disk of TUWEN_HOME")

    def count_items(self, kind: str, statuses: Iterable[str]) -> None:
        """Count what became of a batch."""
        for status in statuses:
            self.items.labels(kind, status).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"tuwen_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"tuwen_{name}", meaning, labels, registry=self.registry)
