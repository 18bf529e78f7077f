"""What a person sees when the service is ready: where it is, and a line to paste."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from fairlead_scoring.contract import sample_of

SHORT = 100  # characters of a body that is shown whole
WIDTH = 79  # columns of a terminal


def banner(url: str, contract: dict[str, Any], *, has_keys: bool, notices: tuple[str, ...] = ()) -> str:
    """Plain text. `url`: scheme, host and port, with the prefix."""
    model = contract["model"]
    lines = [""]
    for notice in notices:
        lines += [*textwrap.wrap(notice, WIDTH, initial_indent="  Note: ", subsequent_indent="        ", break_long_words=False), ""]
    lines += [f"  {model.get('name', 'service')} is live.", ""]
    lines += [f"  score    {url}/score", f"  docs     {url}/docs", f"  swagger  {url}/swagger.json", f"  metrics  {url}/metrics", ""]
    lines += ["  Try it:", f"    {_curl(url, contract, has_keys)}", "", "  Ctrl-C ends it.", ""]
    return "\n".join(lines) + "\n"


def _curl(url: str, contract: dict[str, Any], has_keys: bool) -> str:
    key = ' -H "Authorization: Bearer $FAIRLEAD_KEY"' if has_keys else ""
    post = f"curl -H 'Content-Type: application/json'{key} -d"
    sample = sample_of(contract)
    body = sample if isinstance(sample, str) else json.dumps(sample)
    if sample is None:
        return f"{post} 'YOUR DATA' {url}/score"
    if len(body) > SHORT:
        return f"curl -s{key} {url}/sample |\n    {post} @- {url}/score"
    quoted = body.replace("'", "'\\''")
    return f"{post} '{quoted}' {url}/score"
