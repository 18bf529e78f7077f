"""Outputs of jobs among the inputs: one's own is refused, another job's is not taken for data that somebody put there."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Sequence, Tuple

from fairlead_scoring.batch.job import Input, Order
from fairlead_scoring.batch.ledger.layout import COMMIT, PLAN
from fairlead_scoring.batch.places.addresses import DATABASES, is_url, scheme_of
from fairlead_scoring.batch.places.disk import plain_path
from fairlead_scoring.batch.places.patterns import compile_pattern, has_magic, is_hidden, split_pattern
from fairlead_scoring.batch.sources.pieces import Unusable

_WRITTEN = re.compile(r"part-\d{5,}\.[a-z]+|parallel_run_step\.txt")


def refuse_own(order: Order, said: Input) -> None:
    """Raises Unusable where the job would read what it writes: its next try would find other inputs."""
    output = order.output
    if output is None or output.table is not None or scheme_of(output.url) in DATABASES:
        return
    ending = "txt" if output.format == "text" else output.format
    name = output.file_name if output.action == "append_row" else f"part-00000.{ending}"
    probe = f"{_plain(output.url)}/{name}"
    for url in said.urls:
        if _names(_plain(url), probe):
            cure = "Write to another folder, or to one below it whose name begins with _, which is not read"
            raise Unusable(f"The output {output.url} lies inside the input {url}, so the job would read its own answers. {cure}.")


def _names(url: str, path: str) -> bool:
    fixed, rest = split_pattern(url) if has_magic(url) else (url, "")
    top = fixed.rstrip("/") + "/"
    if not path.startswith(top) or is_hidden(path[len(top) :], rest):
        return False
    return not rest or compile_pattern(rest).fullmatch(path[len(top) :]) is not None


def _plain(url: str) -> str:
    if is_url(url) and not url.startswith("file:"):
        return url.rstrip("/")
    return plain_path(url)


def without_others(place: Any, found: Sequence[Any]) -> Tuple[List[Any], Tuple[str, ...]]:
    """Without what other jobs wrote in folders below what was named, if there is anything else; and what to say of it."""
    folders: Dict[str, bool] = {}
    for each in found:
        folder = _folder(each.url)
        if folder and folder not in folders and not _is_meant(each.base, folder):
            folders[folder] = place.exists(f"{folder}/{COMMIT}") or place.exists(f"{folder}/{PLAN}")
    others = [each for each in found if not folders.get(_folder(each.url)) or _is_meant(each.base, _folder(each.url))]
    if not others or len(others) == len(found):
        return list(found), ()
    told = [
        f"{folder} holds the output of a job and is left out; name it as an input if it is to be read." for folder, is_output in folders.items() if is_output
    ]
    return others, tuple(told)


def _folder(url: str) -> str:
    """Of what looks like an output; folders name=value are the output's own."""
    folder, _, name = url.rpartition("/")
    if url.startswith(("http://", "https://")) or not _WRITTEN.fullmatch(name):
        return ""
    while "=" in folder.rpartition("/")[2]:
        folder = folder.rpartition("/")[0]
    return folder


def _is_meant(base: str, folder: str) -> bool:
    return f"{split_pattern(_plain(base))[0].rstrip('/')}/".startswith(f"{folder}/")
