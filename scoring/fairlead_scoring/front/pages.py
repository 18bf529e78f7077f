"""Everything that the front answers by itself: health, swagger, docs, metrics, status, v2 metadata."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fairlead_scoring import __version__, openapi
from fairlead_scoring.contract import sample_of
from fairlead_scoring.front.docs_page import docs_page
from fairlead_scoring.front.exchange import Exchange
from fairlead_scoring.front.routes import Route
from fairlead_scoring.front.scoring import FAILED
from fairlead_scoring.front.v2_metadata import model_metadata

if TYPE_CHECKING:
    from fairlead_scoring.front.app import Front

HEALTH = frozenset(("health", "livez", "readyz", "ping"))  # whose answers say nothing of run()
TEXT = b"content-type: text/html; charset=utf-8\r\n"
JSON = b"content-type: application/json\r\n"
NO_FRAMES = b"content-security-policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:\r\n"
OWN_2, OWN_3 = ("swagger2.json", "swagger.json"), ("swagger3.json",)  # a script's own documents, in its app root
OWN_SWAGGER = {"2": OWN_2, "2.0": OWN_2, "3": OWN_3, "3.0": OWN_3, "3.1": ("swagger3.1.json",)}


class Pages:
    def __init__(self, front: Front) -> None:
        self._front = front
        self._pages: dict[str, Callable[[Exchange], None]] = {
            "health": self._health,
            "livez": self._livez,
            "readyz": self._readyz,
            "ping": self._readyz,
            "swagger": self._swagger,
            "openapi": self._openapi,
            "docs": self._docs,
            "sample": self._sample,
            "metrics": self._metrics,
            "status": self._status,
            "version": self._version,
            "v2_server": self._v2_server,
            "v2_model": self._v2_model,
            "v2_ready": self._v2_ready,
        }

    def show(self, exchange: Exchange, route: Route) -> None:
        if exchange.method == b"OPTIONS":
            self.options(exchange, b", ".join(sorted(route.methods)))
        else:
            self._pages[route.name](exchange)

    def options(self, exchange: Exchange, allowed: bytes) -> None:
        cors = self._front.cors
        self._show(exchange, 200, TEXT + b"allow: %b\r\n" % allowed + (cors.preflight(exchange) if cors else b""), b"")

    def unknown_model(self, route: Route) -> str:
        """Why this service has no such model or version; "" when it has."""
        told = self._front.scoring.contract.get("model", {})
        name, version = str(told.get("name", "model")), str(told.get("version", "1"))
        if route.model != name:
            return f"This service has no model '{route.model[:80]}'; its model is '{name}'."
        if route.version and route.version != version:
            return f"Model '{name}' has no version '{route.version[:40]}' here; its version is '{version}'."
        return ""

    def _json(self, exchange: Exchange, status: int, content: Any, head: bytes = b"") -> None:
        self._show(exchange, status, JSON + head, orjson.dumps(content))

    def _show(self, exchange: Exchange, status: int, head: bytes, body: bytes) -> None:
        said = b"" if exchange.route in HEALTH else FAILED[False]
        exchange.send(status, head + said + self._front.scoring.about(exchange), body)

    # Health.
    def _health(self, exchange: Exchange) -> None:
        if self._front.is_ready:
            self._show(exchange, 200, TEXT, b"Healthy")
        else:
            self._show(exchange, 503, TEXT + b"retry-after: 2\r\n", self._unready_because().encode())

    def _livez(self, exchange: Exchange) -> None:
        self._json(exchange, 200, {"status": "alive", "live": True})

    def _readyz(self, exchange: Exchange) -> None:
        more = self._of_workers() if exchange.query == b"verbose" else {}
        if self._front.is_ready:
            self._json(exchange, 200, {"status": "ready", "ready": True, **more})
        else:
            self._json(exchange, 503, {"status": "not ready", "ready": False, "message": self._unready_because(), **more}, b"retry-after: 2\r\n")

    def _of_workers(self) -> dict[str, Any]:
        """For whoever looks after several such services and has no key: numbers, nothing that a script said."""
        return {"workers": {"ready": len(self._front.pool.usable), "restarts": self._front.status.get("restarts", 0)}}

    def _unready_because(self) -> str:
        if self._front.draining:
            return "The service is shutting down."
        reason = self._front.status.get("reason")
        return reason or "The service is starting: the model is not loaded yet."

    # Descriptions.
    def _swagger(self, exchange: Exchange) -> None:
        self._describe(exchange, dict(pair.partition("=")[::2] for pair in exchange.query.decode("latin-1").split("&")).get("version", "2"))

    def _openapi(self, exchange: Exchange) -> None:
        self._describe(exchange, "3.1")

    def _describe(self, exchange: Exchange, version: str) -> None:
        own = self._own_document(version)
        if own is not None:
            self._show(exchange, 200, JSON, own)
            return
        try:
            document = self.document(version, exchange)
        except openapi.VersionError as error:
            self._front.refuse(exchange, 404, str(error))
            return
        if document is None:
            self._front.refuse(exchange, 503, self._unready_because())
        else:
            self._json(exchange, 200, document)

    def document(self, version: str, exchange: Exchange) -> dict[str, Any] | None:
        """Raises openapi.VersionError; None while no worker has said what the script takes."""
        settings, contract = self._front.settings, self._front.scoring.contract
        if not contract:
            return None
        scheme = "http" if settings.tls_cert is None else "https"
        host = exchange.header(b"host").decode("latin-1")
        service = openapi.Service(
            name=settings.title, version=settings.version, prefix=settings.prefix, keys=self._front.keys is not None, url=f"{scheme}://{host}"
        )
        return openapi.document(contract, version, service)

    def _own_document(self, version: str) -> bytes | None:
        root = self._front.app_root
        for name in OWN_SWAGGER.get(version, ()) if root else ():
            path = Path(root or "") / name
            if path.is_file():
                content = path.read_bytes()
                json.loads(content)
                return content
        return None

    def _sample(self, exchange: Exchange) -> None:
        contract = self._front.scoring.contract
        sample = sample_of(contract) if contract else None
        if not contract:
            self._front.refuse(exchange, 503, self._unready_because())
        elif sample is None:
            self._front.refuse(exchange, 404, "This service has no sample; declare one with --sample, or give the schema an example.")
        else:
            self._json(exchange, 200, sample)

    def _docs(self, exchange: Exchange) -> None:
        document = self.document("3.1", exchange)
        if document is None:
            self._front.refuse(exchange, 503, self._unready_because())
            return
        scoring = self._front.scoring
        page = docs_page(document, scoring.contract, revision=scoring.revision, has_keys=self._front.keys is not None)
        self._show(exchange, 200, TEXT + NO_FRAMES, page.encode())

    # Operation.
    def _metrics(self, exchange: Exchange) -> None:
        accept = exchange.header(b"accept").decode("latin-1")
        text, content_type = self._front.metrics.exposition(self._front.pool, self._front.status, accept)
        self._show(exchange, 200, b"content-type: %b\r\n" % content_type.encode(), text)

    def _status(self, exchange: Exchange) -> None:
        pool = self._front.pool
        self._json(
            exchange,
            200,
            {
                "revision": self._front.scoring.revision,
                "ready": self._front.is_ready,
                "draining": self._front.draining,
                "queue": {"waiting": pool.waiting_count, "limit": pool.queue_limit, "in_flight": pool.in_flight, "skipped": pool.cancelled},
                "log_lines_dropped": self._front.lines.dropped,
                **self._front.status,
            },
        )

    def _version(self, exchange: Exchange) -> None:
        self._json(exchange, 200, {"name": "fairlead", "version": __version__})

    # Open Inference Protocol v2.
    def _v2_server(self, exchange: Exchange) -> None:
        self._json(exchange, 200, {"name": "fairlead", "version": __version__, "extensions": ["binary_tensor_data"]})

    def _v2_model(self, exchange: Exchange) -> None:
        contract = self._front.scoring.contract
        if not contract:
            self._json(exchange, 503, {"error": self._unready_because()}, b"retry-after: 2\r\n")
        elif "v2" not in contract["dialects"]:
            self._json(exchange, 404, {"error": "This script declares no schema, so there is no model metadata; call /score."})
        else:
            self._about_model(exchange, lambda: self._json(exchange, 200, model_metadata(contract)))

    def _v2_ready(self, exchange: Exchange) -> None:
        ready = self._front.is_ready
        name = exchange.target
        said = {"name": name.model if name else "", "ready": ready}
        self._about_model(exchange, lambda: self._json(exchange, 200 if ready else 503, said))

    def _about_model(self, exchange: Exchange, answer: Callable[[], None]) -> None:
        route = exchange.target
        unknown = self.unknown_model(route) if route and self._front.scoring.contract else ""
        if unknown:
            self._json(exchange, 404, {"error": unknown})
        else:
            answer()
