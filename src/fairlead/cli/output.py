"""How commands talk: results on standard output, everything else on standard error; `--json` and `--quiet` mean the same everywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what was asked for: a name, an id, an address.")]
InWorkspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Workspace; default: the configured one.")]

GAP, NARROWEST = 2, 16  # characters, between columns and of one that is folded


class Output:
    """One command's voice."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._out = Console(width=None if sys.stdout.isatty() else 80, highlight=False, soft_wrap=False)
        self._err = Console(stderr=True, highlight=False)

    def say(self, sentence: str) -> None:
        """What a person wants to know and a script does not."""
        if not (self.quiet or self.as_json):
            self._err.print(sentence, markup=False, soft_wrap=True)

    def result(self, value: BaseModel | dict[str, Any], *, short: str, lines: Sequence[tuple[str, Any]] = ()) -> None:
        """One thing: JSON, its short form, or label and value line by line."""
        if self.as_json:
            print(value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value, default=str))
        elif self.quiet or not lines:
            print(short)
        else:
            width = max(len(label) for label, _ in lines) + 2
            for label, content in lines:
                if content not in (None, "", [], {}):
                    self._out.print(Text(label.ljust(width), style="dim") + Text(shown(content)), soft_wrap=True)

    def table(self, items: Iterable[BaseModel | dict[str, Any]], columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
        """Many things: a JSON list, the first column alone, or a table; `empty` is the sentence when there is none."""
        if self.as_json:
            print(json.dumps([json.loads(each.model_dump_json()) if isinstance(each, BaseModel) else each for each in items], default=str))
            return
        cells = [[shown(cell) for cell in row] for row in rows]
        if self.quiet:
            for row in cells:
                print(row[0])
        elif not cells:
            self.say(empty)
        else:
            table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
            whole = _whole(columns, cells, self._out.width)
            for position, column in enumerate(columns):
                table.add_column(column, overflow="fold", no_wrap=position in whole)
            for row in cells:
                table.add_row(*(Text(cell) for cell in row))
            self._out.print(table)

    @contextmanager
    def phase(self, sentence: str) -> Iterator[None]:
        """Something that takes more than a moment: a spinner on a terminal, one line elsewhere."""
        if self.quiet or self.as_json:
            yield
        elif self._err.is_terminal:
            with self._err.status(Text(sentence)):
                yield
            self._err.print(Text("✓ ", style="green") + Text(sentence))
        else:
            self._err.print(sentence, markup=False, soft_wrap=True)
            yield

    @contextmanager
    def transfer(self, sentence: str, total: int) -> Iterator[Callable[[int], None]]:
        """Bytes on their way: a bar on a terminal, one line elsewhere. What it gives is told how many came more."""
        if self.quiet or self.as_json or not self._err.is_terminal:
            with self.phase(sentence):
                yield _nobody
            return
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._err, transient=True) as progress:
            task = progress.add_task(sentence, total=total)
            yield lambda count: progress.advance(task, count)
        self._err.print(Text("✓ ", style="green") + Text(sentence))


def _whole(columns: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> set[int]:
    """Columns that are not folded, so that names and addresses can be copied and searched: those without blanks, as long as the others have room."""
    widths = [max(map(len, below)) for below in zip(columns, *cells, strict=True)]
    whole = {position for position, below in enumerate(zip(*cells, strict=True)) if not any(" " in cell for cell in below)}
    room = width - GAP * (len(columns) - 1)
    while whole and sum(size if position in whole else min(size, NARROWEST) for position, size in enumerate(widths)) > room:
        whole.remove(max(whole, key=widths.__getitem__))
    return whole


def _nobody(_count: int) -> None:
    """Nobody watches."""


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={shown(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(shown(each) for each in value) or "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return f"{value:g}"
    return {None: "-", True: "yes", False: "no"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)


def size(count: int) -> str:
    """Bytes as a person reads them."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
