"""The address of a service: HTTP/1.1 as its replicas speak it, with nothing added and nothing taken away.

What a proxy cannot keep is listed in `docs/wire-contract.md`: hop-by-hop headers, the version in the status line of an HTTP/1.0 answer, a client that
closes its sending half. Options are those of Envoy's v3 API, `envoy.extensions.filters.network.http_connection_manager.v3`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fairlead.routers.envoy.bootstrap import file_source
from fairlead.routers.envoy.certificates import Pem
from fairlead.routers.envoy.http_options import BUFFER, MOST_HEADER_COUNT, PRESERVE_CASE
from fairlead.routers.envoy.place import Place
from fairlead.routers.envoy.replies import local_replies
from fairlead.routers.envoy.resources import TYPE
from fairlead.routers.envoy.table import HANDLE, ROUTES
from fairlead.routers.kept import Kept

FILTERS = f"{TYPE}envoy.extensions.filters"
KEEP_ALIVE = "75s"  # as the front's; connections to replicas rest less, so that none is used at the moment when the front closes it
HEADER_TIME = "10s"  # as the front's
LINGER = "3s"  # for an answer to be read whose request was refused half-way; the rest of the request is not, as the front would
MOST_HEADERS = 128  # KiB; the front refuses 64, in its own words
BACKLOG = 2048
OWN = "x-fairlead-proto"  # where the client's X-Forwarded-Proto waits while Envoy insists on one of its own


def listener(kept: Kept, place: Place, pem: Pem | None) -> dict[str, Any]:
    """The same whatever stands behind it. `metadata` holds a digest of all of it: what Envoy's own dump is compared with."""
    content = {
        "@type": f"{TYPE}envoy.config.listener.v3.Listener",
        "name": listener_name(kept),
        "address": {"socket_address": {"address": kept.host, "port_value": kept.port}},
        "enable_reuse_port": False,  # else a second proxy could listen at the same port, and get half of the requests
        "tcp_backlog_size": BACKLOG,
        "per_connection_buffer_limit_bytes": BUFFER,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _connection_manager(kept, place)}], **_tls(pem)}],
    }
    return with_digest(content, hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16])


def another_attempt(listener: dict[str, Any]) -> dict[str, Any]:
    """Envoy tries again only what has changed."""
    first, _, attempts = digest_of(listener).partition("+")
    return with_digest(listener, f"{first}+{int(attempts or 0) + 1}")


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """But for attempts."""
    return digest_of(one).partition("+")[0] == digest_of(other).partition("+")[0]


def with_digest(listener: dict[str, Any], digest: str) -> dict[str, Any]:
    return {**listener, "metadata": {"filter_metadata": {"fairlead": {"digest": digest}}}}


def listener_name(kept: Kept) -> str:
    """Another address is another listener."""
    return f"{kept.handle}@{kept.host}:{kept.port}"


def digest_of(said: dict[str, Any]) -> str:
    """Of a listener, ours or as Envoy dumps it; "" when it has none."""
    return str(said.get("metadata", {}).get("filter_metadata", {}).get("fairlead", {}).get("digest", ""))


def _connection_manager(kept: Kept, place: Place) -> dict[str, Any]:
    return {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": kept.handle,
        "codec_type": "HTTP1",
        **_hands_off(),
        "request_headers_timeout": HEADER_TIME,
        "delayed_close_timeout": LINGER,
        "max_request_headers_kb": MOST_HEADERS,
        "common_http_protocol_options": {"idle_timeout": KEEP_ALIVE, "max_headers_count": MOST_HEADER_COUNT},
        "http_protocol_options": {
            "accept_http_10": True,
            "default_host_for_http_10": kept.handle,  # to be let in; the front of a replica needs none
            "header_key_format": PRESERVE_CASE,
            "ignore_http_11_upgrade": [{"safe_regex": {"regex": ".*"}}],  # answered as if it had not been asked for (RFC 9110)
        },
        "early_header_mutation_extensions": [_put_aside(kept.handle)],
        "local_reply_config": local_replies(),
        "access_log": [_log_of_own_answers(kept.handle, place)],
        "rds": {"config_source": file_source(place.routes.path), "route_config_name": ROUTES},
        "http_filters": [_put_back(), {"name": "router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}}],
    }


def _hands_off() -> dict[str, Any]:
    return {
        "server_header_transformation": "PASS_THROUGH",
        "use_remote_address": False,
        "skip_xff_append": True,  # the front looks at no X-Forwarded-For; scripts get the client's, as from the front
        "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "proxy_100_continue": True,
        "stream_idle_timeout": "0s",
        "request_timeout": "0s",
    }


def _put_aside(handle: str) -> dict[str, Any]:
    """Before Envoy looks at the headers: no client steers it with x-envoy-…, and its X-Forwarded-Proto does not take the place of the client's."""
    mutations = [{"remove": OWN}, {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-"}}}, _set(OWN, "%REQ(x-forwarded-proto)%"), _set(HANDLE, handle)]
    return {
        "name": "put-aside",
        "typed_config": {"@type": f"{TYPE}envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", "mutations": mutations},
    }


def _put_back() -> dict[str, Any]:
    back = _set("x-forwarded-proto", f"%REQ({OWN})%")
    mutations = [{"remove": "x-forwarded-proto"}, back, {"remove": OWN}, {"remove": HANDLE}, {"remove": "x-envoy-internal"}]
    return {
        "name": "put-back",
        "typed_config": {"@type": f"{FILTERS}.http.header_mutation.v3.HeaderMutation", "mutations": {"request_mutations": mutations}},
    }


def _set(name: str, value: str) -> dict[str, Any]:
    return {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}


def _log_of_own_answers(handle: str, place: Place) -> dict[str, Any]:
    line = {
        "time": "%START_TIME%",
        "service": handle,
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ_WITHOUT_QUERY(:PATH)%",
        "replica": "%UPSTREAM_HOST%",
        "request_id": "%REQ(x-request-id)%",
    }
    return {
        "name": "answers",
        "filter": {"response_flag_filter": {"flags": ["UH", "UF", "UC", "UR", "UO", "NC", "NR", "DPE", "UPE", "OM"]}},
        "typed_config": {
            "@type": f"{TYPE}envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(place.log / "answers.log"),
            "log_format": {
                "json_format": line,
                "formatters": [
                    {
                        "name": "envoy.formatter.req_without_query",
                        "typed_config": {"@type": f"{TYPE}envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"},
                    }
                ],
            },
        },
    }


def _tls(pem: Pem | None) -> dict[str, Any]:
    """In the listener and not in a file of its own: each file that Envoy watches takes one of 128 inotify instances that a user has."""
    if pem is None:
        return {}
    pair = {"certificate_chain": {"inline_string": pem.chain}, "private_key": {"inline_string": pem.key}}
    context = {"tls_params": {"tls_minimum_protocol_version": "TLSv1_2"}, "alpn_protocols": ["http/1.1"], "tls_certificates": [pair]}
    typed = {"@type": f"{TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", "common_tls_context": context}
    return {"transport_socket": {"name": "tls", "typed_config": typed}, "transport_socket_connect_timeout": HEADER_TIME}
