"""The floor: an ASGI handler on uvicorn that reads the body and answers 20 bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

ANSWER = b"[0,   1,   2,   3  ]"  # 20 bytes
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"20")]


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})
