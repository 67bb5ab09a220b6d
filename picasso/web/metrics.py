"""Numbers for Prometheus: requests, jobs and the model, at ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from flask import Flask, Response, g, request

from picasso.config import Settings
from picasso.errors import ConfigurationError
from picasso.jobs.base import Job
from picasso.web.context import Services

# The upper bounds of the durations of jobs, in seconds.
JOB_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
MISSING = (
    "METRICS = True needs the package prometheus-client: pip install 'picasso-viz[metrics]', or remove the setting."
)


def require_package(settings: Settings) -> None:
    """Raise ConfigurationError if numbers are wanted and the package ``prometheus-client`` is not installed."""
    if settings.METRICS and find_spec("prometheus_client") is None:
        raise ConfigurationError(MISSING, field="METRICS")


def init_app(app: Flask, settings: Settings) -> None:
    """Count requests and jobs, and answer at ``/metrics``, if the settings enable that.

    Args:
        app: the application, with its services.
        settings: say whether numbers are wanted.
    """
    if not settings.METRICS:
        return
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest

    registry = CollectorRegistry()
    requests = Histogram(
        "picasso_request_seconds", "Time to answer a request.", ("method", "route", "status"), registry=registry
    )
    jobs = Histogram(
        "picasso_job_seconds",
        "Time from the submission of a job to its end, by its outcome.",
        ("kind", "outcome"),
        buckets=JOB_SECONDS,
        registry=registry,
    )
    registry.register(State(app.extensions["picasso"]))

    def count(response: Response) -> Response:
        # Addresses may contain names; a rule has none.
        route = request.url_rule.rule if request.url_rule else "unknown"
        begun = g.get("begun", time.perf_counter())
        # Anybody can send any method.
        method = request.method if request.method in METHODS else "other"
        requests.labels(method, route, response.status_code).observe(time.perf_counter() - begun)
        return response

    def ended(job: Job, outcome: str, seconds: float) -> None:
        jobs.labels(job.kind, outcome).observe(seconds)

    def metrics() -> Response:
        """Return all numbers in the text format of Prometheus."""
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    app.after_request(count)
    app.extensions["picasso"].runner.on_end = ended
    app.add_url_rule("/metrics", "metrics", metrics)


class State:
    """The numbers that are read when they are asked for.

    Args:
        found: the services of the application.
    """

    def __init__(self, found: Services) -> None:
        self._services = found

    def collect(self) -> Iterator[Any]:
        """Yield the jobs, whether the worker is ready, how many workers were started, and the use of the cache."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        runner = self._services.runner
        jobs = GaugeMetricFamily("picasso_jobs", "Queued and running jobs.", labels=["kind"])
        for kind, count in runner.counts().items():
            jobs.add_metric([kind], count)
        yield jobs
        yield GaugeMetricFamily("picasso_ready", "1 if a request would be computed now.", runner.health() == "ready")
        started = "Worker processes that were started on this machine."
        yield CounterMetricFamily("picasso_workers_started", started, runner.workers_started())
        if cache := self._services.storage.cache:
            totals = cache.totals()
            results = CounterMetricFamily(
                "picasso_cache_results", "Results that were looked up in the cache.", labels=["outcome"]
            )
            results.add_metric(["hit"], totals.hits)
            results.add_metric(["miss"], totals.misses)
            yield results
            yield GaugeMetricFamily("picasso_cache_bytes", "Size of the results in the cache.", totals.size)
