"""The application factory, which only connects the parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
from flask import Flask
from flask_compress import Compress

from picasso import config
from picasso.config import Settings
from picasso.explanation import legend
from picasso.explanation.registry import Registry
from picasso.explanation.render import class_colour
from picasso.jobs import worker
from picasso.jobs.engines import start_engine
from picasso.jobs.job_queue import JobQueue
from picasso.storage.store import Storage
from picasso.targets import phrase
from picasso.web import admission, auth, error_handlers, health, metrics, request_log, security
from picasso.web.api import application, audit_downloads, images, openapi, questions, runs
from picasso.web.api import audits as api_audits
from picasso.web.api import concepts as api_concepts
from picasso.web.api import gallery as api_gallery
from picasso.web.api import grades as api_grades
from picasso.web.api import inside as api_inside
from picasso.web.api import rankings as api_rankings
from picasso.web.context import Services
from picasso.web.pages import (
    audits,
    compare,
    documentation,
    downloads,
    files,
    gallery,
    home,
    inside,
    jobs,
    model,
    rankings,
    reset,
    sessions,
)
from picasso.web.prefix import Prefix
from picasso.web.proxies import Proxies


def create_app(settings: Settings | Mapping[str, Any] | None = None) -> Flask:
    """Return the web application; its worker process starts to load the model immediately.

    Args:
        settings: validated settings, or values that take precedence over those in the settings file (see
            :func:`picasso.config.load`).

    Raises:
        ConfigurationError: a setting is invalid, or a plugin folder is missing.

    Examples:
        >>> import picasso
        >>> application = picasso.create_app(
        ...     {
        ...         "MODEL_CLS_PATH": "{picasso}/examples/brightness.py",
        ...         "MODEL_CLS_NAME": "BrightnessModel",
        ...         "MODEL_LOAD_ARGS": {"side": 32},
        ...     }
        ... )
        >>> application.test_client().get("/").status_code
        200
    """
    if not isinstance(settings, Settings):
        settings = config.load(overrides=settings)
    metrics.require_package(settings)
    registry = Registry(settings.plugin_dirs())
    storage = Storage(settings)
    configured = worker.reference(settings)
    engine = start_engine(settings, configured, storage.folder)
    waiting = settings.THREADS // 2
    runner = JobQueue(engine, registry, configured, settings.QUEUE_LENGTH, list(settings.COMPARE), waiting)

    app = Flask("picasso")
    app.config["MAX_CONTENT_LENGTH"] = settings.MAX_UPLOAD_MB * 1_000_000
    app.config["MAX_FORM_PARTS"] = settings.MAX_IMAGES + 1_000
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # The template of a plugin is beside its class; it can't replace a built-in template.
    plugins = jinja2.FileSystemLoader([str(folder) for folder in registry.plugin_dirs])
    templates = jinja2.FileSystemLoader(str(config.PACKAGE / "templates"))
    app.jinja_loader = jinja2.ChoiceLoader([templates, plugins])
    app.jinja_env.undefined = jinja2.StrictUndefined
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    app.jinja_env.filters |= {"amount": legend.amount, "class_colour": class_colour, "phrase": phrase}
    app.jinja_env.filters |= {"legend_ends": legend.ends, "legend_details": legend.details}
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    app.extensions["picasso"] = Services(settings, storage, registry, runner, settings.sample_files())
    # Algorithms that all browsers and proxies support; images and arrays are already compressed.
    app.config["COMPRESS_ALGORITHM"] = ["br", "gzip"]
    Compress(app)
    for part in (request_log, security, auth, admission, metrics):
        part.init_app(app, settings)
    error_handlers.init_app(app)
    register_views(app)
    app.wsgi_app = Prefix(app, settings)  # type: ignore[method-assign]
    if settings.PROXIES:
        app.wsgi_app = Proxies(app.wsgi_app, settings.PROXIES, settings.PROXY_HEADERS)  # type: ignore[method-assign]
    return app


def register_views(app: Flask) -> None:
    """Register all pages, the REST API and the endpoints for monitoring."""
    looking = (home, gallery, compare, audits, inside, model, rankings)
    pages = (*looking, documentation, downloads, files, jobs, reset, sessions)
    inner = (api_inside, api_concepts, api_grades, api_rankings)
    api = (application, images, runs, api_audits, audit_downloads, api_gallery, *inner, questions, openapi)
    for module in (*api, *pages, health):
        app.register_blueprint(module.blueprint)
