"""Pieces of work -> spans for OpenTelemetry. Outside of `tracing` a span is a block that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from app.errors import BadSettings
from app.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

NOT_INSTALLED = "TUWEN_TRACES_ENDPOINT: its packages are not installed; run `scripts/setup.sh traces`, or unset it"
Value = str | int | float | bool

_tracer: Tracer | None = None  # of the process, as in OpenTelemetry itself


@contextmanager
def tracing(settings: Settings, *, process: str, exporter: SpanExporter | None = None) -> Iterator[None]:
    """Until the block ends, send this process's spans to the settings' collector, or to another exporter.

    Raises BadSettings when a collector is named and the packages are not installed.
    """
    global _tracer
    if settings.traces_endpoint is None and exporter is None:
        yield
        return
    provider = _provider(settings, process, exporter)
    _tracer = provider.get_tracer("tuwen")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()  # sends what has not been sent yet


def _provider(settings: Settings, process: str, exporter: SpanExporter | None) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise BadSettings(NOT_INSTALLED) from None
    names = {"service.namespace": "tuwen", "service.name": f"tuwen-{process}", "service.version": _version()}
    provider = TracerProvider(resource=Resource(names), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=settings.traces_endpoint)))
    return provider


def span(name: str, **attributes: Value) -> AbstractContextManager[None]:
    """The block as a span. Attributes are never ids of people or what they wrote."""
    return nullcontext() if _tracer is None else _span(_tracer, name, attributes)


@contextmanager
def request_span(method: str, headers: Mapping[str, str]) -> Iterator[Span | None]:
    """The block as the span of a request, in the caller's trace where it names one; None while nothing is traced."""
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    outer = TraceContextTextMapPropagator().extract(headers)
    with _tracer.start_as_current_span(method, context=outer, kind=SpanKind.SERVER, record_exception=False) as made:
        yield made


def current_trace_id() -> str | None:
    """The trace of the running span, 32 hex digits; None outside of one."""
    if _tracer is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


@contextmanager
def _span(tracer: Tracer, name: str, attributes: Mapping[str, Value]) -> Iterator[None]:
    """Of an error its kind is told and not its message, which may name people."""
    from opentelemetry.trace import StatusCode

    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield
        except Exception as error:
            made.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def _version() -> str:
    try:
        return version("tuwen")
    except PackageNotFoundError:
        return "unknown"  # runs from a source tree that was not installed
