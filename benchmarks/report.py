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


def deploy(records: list[Record]) -> str:
    head = ("from the accepted POST to 200 on /readyz, to a bare process that imports and loads the model", "measured", "goal")
    row = "{ratio:.2f}x ({deploy_ms:.0f} / {bare_ms:.0f} ms; the cold deploy before took {cold_s:.1f} s)"
    return table(head, [[f"RandomForest({record['trees']})", row.format(**record), "1.5x"] for record in records])


def registry(records: list[Record]) -> str:
    """By request; one column for each database."""
    databases = sorted({record["database"] for record in records}, reverse=True)
    known = {(record["request"], record["database"]): f"{record['cpu_ms']:.1f}" for record in records}
    rows = [[name, *(known.get((name, database), "") for database in databases)] for name in dict.fromkeys(record["request"] for record in records)]
    told = "100,000 versions under 10,000 names. CPU of the control plane per request, in milliseconds of this machine; the goal is 15. "
    told += "SQLite's work is part of it, PostgreSQL's is not.\n\n"
    return told + table(["request", *databases], rows)


def images(records: list[Record]) -> str:
    """One line per goal of the images; what each side had is told by benchmarks/README.md."""
    parts = {record["part"]: record for record in records}
    rows = [[title, shown.format(**parts[part]), goal] for part, title, shown, goal in IMAGES if part in parts]
    text = table(("what", "measured", "goal"), rows)
    commands: dict[str, list[str]] = {}
    for record in records:
        commands.setdefault(record["command"], []).append(record["part"])
    text += "\nMeasured by " + "; ".join(f"`{command}` ({', '.join(names)})" for command, names in commands.items()) + ".\n"
    loads = [load for record in records for load in record.get("load_before", ())]
    if loads:
        text += f"\nLoad of the machine before each round: {min(loads):.1f} to {max(loads):.1f}.\n"
    if "bentoml" in parts:
        text += "\nBentoML's `containerize` of the same packages, with no layers {fresh_s:.1f} s, with all of them {again_s:.1f} s; ".format(**parts["bentoml"])
        text += "it mounts no cache for wheels, so it fetches them each time.\n"
    return text


def router(records: list[Record]) -> str:
    """A service without a model, so that the router's share is as large as it gets."""
    rows = []
    for record in records:
        ratios = [f"{record[f'{name}_ratio']:.2f}x" for name in ("cpu_us", "p50_ms", "p99_ms")]
        both = [f"{record['direct'][name]:.2f} / {record['routed'][name]:.2f}" for name in ("cpu_us", "p50_ms", "p99_ms")]
        rows.append([str(record["connections"]), *ratios, *both])
    head = ("connections", "CPU to direct", "p50 to direct", "p99 to direct", "CPU µs direct / routed", "p50 ms direct / routed", "p99 ms direct / routed")
    return table(head, rows)


def overload(records: list[Record]) -> str:
    """One machine's wall time; a share needs no machine."""
    rows = [[f"{each['refusal_p50_ms']:.1f} ms", f"{each['refusal_p99_ms']:.1f} ms", f"{each['kept']:.0%}"] for each in records]
    return table(("a refusal: p50", "p99", "of its capacity still answered"), rows)


def batch(records: list[Record]) -> str:
    parts = ["The whole command, and what is left of it after its start: libraries and the model are loaded, Ray and Spark run.\n"]
    for model in sorted({record["model"] for record in records}):
        chosen = sorted((record for record in records if record["model"] == model), key=lambda record: -record["rows_per_s"])
        head = ("with", "rows", "rows per second", "to the loop", "after the start", "to the loop", "rows per CPU-second", "to the loop", "peak MiB")
        load = f"The machine's load was {chosen[0]['load_before']:.1f} before this began."
        parts.append(f"### {_title(model)}, parquet to parquet\n\n{load}\n\n{table(head, [_batch_row(record) for record in chosen])}")
    return "\n".join(parts)


def _batch_row(record: Record) -> list[str]:
    pairs = (("rows_per_s", "ratio"), ("inner_rows_per_s", "inner_ratio"), ("rows_per_cpu_s", "cpu_ratio"))
    speeds = [text for rate, ratio in pairs for text in (f"{record[rate]:,.0f}", f"{record[ratio]:.2f}x")]
    return [record["peer"], f"{record['rows']:,}", *speeds, f"{record['peak_bytes'] / 2**20:,.0f}"]


def batch_limits(records: list[Record]) -> str:
    return "\n".join(table(head, [line(each) for each in records if each["part"] == part]) for part, (head, line) in BATCH_LIMITS.items())


def forests(records: list[Record]) -> str:
    return table(("model", "evaluated as", "ONNX Runtime, CPU µs per row", "batch, CPU µs per row", "ratio"), [_forest(each) for each in records])


def _forest(record: Record) -> list[str]:
    return [record["model"], record["as"], f"{record['onnxruntime_us']:.2f}", f"{record['fairlead_us']:.2f}", f"{record['ratio']:.1f}x"]


def _bound(record: Record) -> list[str]:
    seconds = [f"{record[name]:.1f} s" for name in ("read_write_s", "predict_s", "bound_s", "inner_s")]
    return [f"{_title(record['model'])}, {record['rows']:,} rows", *seconds, f"{record['ratio']:.2f}x"]


def _memory(record: Record) -> list[str]:
    return [f"{_title(record['model'])}, {record['rows']:,} rows", f"{record['peak_bytes'] / 2**20:,.0f} MiB", f"{record['rows_per_s']:,.0f}"]


def _files(record: Record) -> list[str]:
    return [f"{record['files']:,} files of {record['bytes']:,} bytes", f"{record['plan_s']:.1f} s", f"{record['overhead_ms']:.2f} ms"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (head, rule, *rows))


def _title(model: str) -> str:
    return MODELS.get(model, model)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


BATCH_LIMITS: dict[str, tuple[Sequence[str], Callable[[Record], list[str]]]] = {
    "bound": (
        ("job", "read and write alone", "predict alone, one core", "the longer (predict ÷ 2)", "the job, after its start", "to that"),
        _bound,
    ),
    "memory": (("job", "peak memory of all its processes", "rows per second"), _memory),
    "files": (("input", "planning", "beyond reading, per file"), _files),
}
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
IMAGES = (
    ("build", "`fairlead package`, wheels cached, nothing packed; to `docker build` with pip's cache",
     "{ratios[fresh]:.2f}x ({seconds[fresh]:.1f} / {seconds[docker_fresh]:.1f} s)", "0.5x"),
    ("build", "the same, to `docker build` with a folder of wheels and no index", "{ratios[fresh_to_folder]:.2f}x ({seconds[docker_folder]:.1f} s)", ""),
    ("build", "wheels cached, each package packed before in another layer; to `docker build` with pip's cache",
     "{ratios[packed]:.2f}x ({seconds[packed]:.1f} s)", ""),
    ("build", "everything cached; to `docker build` with pip's cache", "{ratios[again]:.2f}x ({seconds[again]:.2f} s)", "0.1x"),
    ("build", "everything cached; to `docker build` with everything cached", "{ratios[again_to_again]:.2f}x ({seconds[docker_again]:.2f} s)", ""),
    ("swap", "another model of 10 MB: new layers", "{new_layers[0]}", "one layer"),
    ("swap", "bytes that its push sends beyond the model's own (docker's: what the registry stores)",
     "{above_model_bytes:,} (docker: {docker_above_model_bytes:,})", "65,536"),
    ("size", "compressed size beyond base, packages and model", "{added_mb:.1f} MB (whole: {total_mb:.0f} MB, docker's: {docker_mb:.0f} MB)", "12 MB"),
    ("ready", "container ready, to local process + 1.2 empty `docker run`",
     "{ratio:.2f}x ({container_ms:.0f} / {local_ms:.0f} + 1.2 · {empty_ms:.0f} ms)", "1x"),
)  # fmt: skip
SECTIONS: tuple[tuple[str, str, Callable[[list[Record]], str]], ...] = (
    ("serving", "Serving, beside other servers", serving),
    ("contract", "What the service itself costs", contract),
    ("single", "One connection, beside an inline handler with the same contract", single),
    ("startup", "Start, memory and disk", startup),
    ("growth", "How cost grows", growth),
    ("deploy", "A deploy with a warm environment", deploy),
    ("registry", "The registry with 100,000 versions", registry),
    ("images", "Images, beside `docker build`", images),
    ("router", "The router before a service", router),
    ("overload", "Ten times more than a service can do", overload),
    ("batch", "Batch, beside a hand-written loop and other engines", batch),
    ("forests", "Trees of compiled models in batch, beside ONNX Runtime", forests),
    ("batch_limits", "Batch, beside what it cannot do without", batch_limits),
)

if __name__ == "__main__":
    main()
