"""Writes docs/performance.md from the results: python -m benchmarks.report

Every table says which command made it; a command that was not run yet is named as such.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import results
from benchmarks.peers import ROOT

Record = dict[str, Any]

INTRODUCTION = """# Performance

Measured with the commands below; `benchmarks/README.md` says what each measures and how to run it again. Requests per CPU-second
count the CPU of the server's whole process tree, which stays steady on a noisy machine; p50 and p99 are wall time. Every answer
was checked. Ratios are taken within one round, against the hand-written FastAPI service in the same round, then their median.
This page is written by `python -m benchmarks.report`.
"""


def main() -> None:
    page = ROOT / "docs" / "performance.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text(INTRODUCTION + "".join(f"\n{_section(*section)}" for section in SECTIONS))
    print(page.relative_to(ROOT))


def _section(name: str, title: str, body: Callable[[list[Record]], str]) -> str:
    document = results.read(name)
    if document is None:
        return f"## {title}\n\nNot measured yet: `python -m benchmarks.{name}`.\n"
    machine = document["machine"]
    source = f"`{document['command']}`, {document['date']}, {machine['cores']} cores ({machine['machine']}), Python {machine['python']}."
    return f"## {title}\n\n{source}\n\n{body(document['records'])}"


def serving(records: list[Record]) -> str:
    parts = []
    for model in sorted({record["model"] for record in records}):
        for connections in sorted({record["connections"] for record in records if record["model"] == model}):
            chosen = [record for record in records if (record["model"], record["connections"]) == (model, connections)]
            chosen.sort(key=lambda record: -record["per_cpu_second"])
            rows = [_serving_row(record) for record in chosen]
            head = ("server", "requests per CPU-second", "to FastAPI", "p50 ms", "p99 ms", "p99 to FastAPI", "errors")
            parts.append(f"### {_title(model)}, {_count(connections, 'connection')}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _serving_row(record: Record) -> list[str]:
    ratio, p99_ratio = (f"{record[name]:.2f}x" if name in record else "" for name in ("ratio", "p99_ratio"))
    errors = ", ".join(f"{count} {kind}" for kind, count in record["errors"].items()) or "0"
    numbers = [f"{record['per_cpu_second']:,.0f}", ratio, f"{record['p50_ms']:.1f}", f"{record['p99_ms']:.1f}", p99_ratio]
    return [record["peer"], *numbers, errors]


def contract(records: list[Record]) -> str:
    verdict = next(record for record in records if record["peer"] == "verdict")
    measured = [record for record in records if record is not verdict]
    rows = [[record["peer"], f"{record['cpu_us']:.1f}", _shares(record["roles"])] for record in measured]
    text = table(("server", "CPU µs per request", "by process"), rows)
    text += f"\nThe contract costs {verdict['contract_over_bare']:.2f} of a bare request (target: at most 0.5)."
    if (share := verdict.get("compiled_of_bare_and_contract")) is not None:
        text += f" A compiled model reaches {share:.2f} of bare + contract written by hand (target: at least 0.7)"
        text += f" and {verdict['compiled_of_front']:.2f} of our front alone."
    return text + "\n"


def _shares(roles: dict[str, float]) -> str:
    return ", ".join(f"{role} {cpu:.1f}" for role, cpu in roles.items())


def single(records: list[Record]) -> str:
    head = ("model", "CPU per request to inline", "p50 to inline", "CPU µs ours / inline", "p50 ms ours / inline")
    rows: list[list[str]] = []
    for record in records:
        cpu, p50 = (f"{record['fairlead'][field]:.2f} / {record['inline'][field]:.2f}" for field in ("cpu_us", "p50_ms"))
        ratios = [f"{record['cpu_us_ratio']:.2f}x", f"{record['p50_ms_ratio']:.2f}x"]
        rows.append([_title(record["model"]), *ratios, cpu, p50])
    return table(head, rows) + "\nTargets: CPU at most 1.6x, p50 at most 1.5x.\n"


def startup(records: list[Record]) -> str:
    rows: list[list[str]] = []
    for record in records:
        title, shown, target = STARTUP[record["part"]]
        rows.append([title, shown.format(**record), target])
    return table(("what", "measured", "target"), rows)


def growth(records: list[Record]) -> str:
    parts = []
    for axis in ("rows", "columns", "connections"):
        chosen = [record for record in records if record["by"] == axis]
        if chosen:
            peers = list(dict.fromkeys(record["peer"] for record in chosen))
            head = [axis, *(f"{peer}: {field}" for peer in peers for field in ("CPU µs per request", "p99 ms"))]
            parts.append(f"### By {axis}\n\n{table(head, _growth_rows(chosen, peers))}")
    return "\n".join(parts)


def _growth_rows(records: list[Record], peers: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for value in sorted({record["value"] for record in records}):
        row = [f"{value:,}"]
        for peer in peers:
            record = next((one for one in records if (one["peer"], one["value"]) == (peer, value)), None)
            row += [f"{record['cpu_us']:,.0f}", f"{record['p99_ms']:.1f}"] if record else ["", ""]
        rows.append(row)
    return rows


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, rule, *rows))


def _title(model: str) -> str:
    return MODELS.get(model, model)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


MODELS = {"lr": "LogisticRegression pipeline", "rf": "RandomForest(100)"}
STARTUP = {
    "imports": (
        "CPU of importing the front, to that of uvicorn + uvloop + httptools + starlette",
        "{ratio:.2f}x ({front_ms:.0f} / {yardstick_ms:.0f} ms)",
        "1.6x",
    ),
    "ready": (
        "CPU of the whole tree, exec to ready, without a model, to azureml-inference-server-http",
        "{cpu_ratio:.2f}x ({fairlead_cpu_ms:.0f} / {azureml_cpu_ms:.0f} ms; wall {fairlead_wall_ms:.0f} / {azureml_wall_ms:.0f} ms)",
        "0.7x",
    ),
    "memory": (
        "PSS of the whole tree, one worker, after 1,000 requests, above a Python that holds the same model",
        "{above_mib:.1f} MiB ({tree_mib:.1f} / {holder_mib:.1f} MiB)",
        "60 MB",
    ),
    "size": ("Installed runtime with its dependencies", "{total_mib:.1f} MiB, of it uvloop {uvloop_mib:.1f}", "25 MB"),
}
SECTIONS: tuple[tuple[str, str, Callable[[list[Record]], str]], ...] = (
    ("serving", "Serving, beside other servers", serving),
    ("contract", "What the service itself costs", contract),
    ("single", "One connection, beside an inline handler with the same contract", single),
    ("startup", "Start, memory and disk", startup),
    ("growth", "How cost grows", growth),
)

if __name__ == "__main__":
    main()
