"""What a registry answers: read to a limit, and its refusals as errors with a cure."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from fairlead.errors import FairleadError, Forbidden, NotFound, TooLarge, Unauthenticated, Unavailable, UsageError

TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
LONGEST = 4 << 20  # bytes of an answer that is no blob; what registries accept as a manifest

_KINDS: dict[int, tuple[type[FairleadError], str]] = {
    401: (Unauthenticated, "log in again."),
    403: (Forbidden, "ask its owner for the right, or log in as somebody who has it."),
    404: (NotFound, "look at the name and the tag."),
    413: (TooLarge, "raise the registry's limit."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole one."""

    status: int
    headers: httpx2.Headers
    url: httpx2.URL
    body: bytes

    def json(self) -> dict[str, Any]:
        """The object in the body; empty when there is none."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}


def read_whole(response: httpx2.Response, host: str, most: int = LONGEST) -> Answer:
    """Reads a body that must be small, and closes. Raises TooLarge, and the transport's errors."""
    parts, size = [], 0
    try:
        for part in response.iter_raw():
            size += len(part)
            if size > most:
                raise TooLarge(f"The registry {host} sent more than {most >> 20} MiB where a manifest or a short answer belongs; it was not read.")
            parts.append(part)
    finally:
        response.close()
    return Answer(status=response.status_code, headers=response.headers, url=response.request.url, body=b"".join(parts))


def refusal(response: httpx2.Response, host: str) -> FairleadError:
    """What a status that was not expected means; closes the response."""
    status, request = response.status_code, response.request
    told = _told(response, host)
    said = f"The registry {host} answered {status} to {request.method} {request.url.path}" + (f" ({told})" if told else "")
    if status in TRY_AGAIN or status >= 500:
        return Unavailable(f"{said}. Try again later.", registry_status=status, retry_after=retry_after(response))
    kind, cure = _KINDS.get(status, (UsageError, "look at the address, and at the registry's log."))
    return kind(f"{said}; {cure}", registry_status=status)


def unreachable(fault: Exception, where: str) -> Unavailable:
    """`where`: the subject of the sentence. Never a whole address, whose query may be a key."""
    why = (" ".join(f"{fault}".split()) or type(fault).__name__)[:300].rstrip(".")
    if is_certificate(fault):
        return Unavailable(f"{where} has a certificate that is not trusted here ({why}); set SSL_CERT_FILE to the file of its authority.")
    plain = " A registry without TLS has to be allowed as insecure." if "WRONG_VERSION_NUMBER" in why else ""
    return Unavailable(f"{where} cannot be reached ({why}). See to the name and the network, and try again.{plain}")


def reason(fault: BaseException) -> str:
    """In a few words: `connection refused`."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:100].lower()
        cause = cause.__cause__ or cause.__context__
    return (" ".join(f"{fault}".split()) or type(fault).__name__)[:100].rstrip(".")


def is_refused(fault: BaseException | None) -> bool:
    """True when nobody listens at the address."""
    while fault is not None and not isinstance(fault, ConnectionRefusedError):
        fault = fault.__cause__ or fault.__context__
    return fault is not None


def retry_after(response: httpx2.Response) -> float:
    """Seconds; 0 when it does not say."""
    said = response.headers.get("retry-after", "")
    if said.isascii() and said.isdigit():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def is_certificate(fault: BaseException | None) -> bool:
    """True when what is behind it is a certificate that was not believed."""
    while fault is not None:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return True
        fault = fault.__cause__ or fault.__context__
    return False


def _told(response: httpx2.Response, host: str) -> str:
    """The registry's own words, on one line."""
    try:
        errors = read_whole(response, host).json().get("errors") or []
        words = "; ".join(f"{each.get('code', '')} {each.get('message', '')}".strip() for each in errors)
    except (httpx2.TransportError, FairleadError, TypeError, AttributeError):
        return ""
    return "".join(each for each in " ".join(words.split()) if each.isprintable())[:300].rstrip(".")
