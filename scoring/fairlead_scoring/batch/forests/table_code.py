"""The code that evaluates tables, as text of LLVM, for one width of masks and one type of numbers; vectors are as long as tables are written.

`score` takes blocks of ROWS rows, each feature's column after the other (`stride` apart). For each block `bins` finds the interval of each feature, as the
place of its row in the table; then for four rows at a time `leaves` finds the leaf of each tree, and `sums` adds their values in the order of the trees.
Nothing in it may be reordered: there are no flags of fast arithmetic. No bound is checked; `tables.Chunk` says what the arrays hold.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

ROWS = 64
GROUP = 4  # rows whose sums are made at once: an addition waits for the one before
VECTOR_BITS = 512

BINS = """
define internal void @bins({rows} %column, ptr %thresholds, i64 %count, i32 %first, i32 %nan, ptr %bins) alwaysinline {{
start:
  br label %next
next:
  %i = phi i64 [0, %start], [%i.next, %next]
  %above = phi {ints} [zeroinitializer, %start], [%above.next, %next]
  %at = getelementptr {number}, ptr %thresholds, i64 %i
  %threshold = load {number}, ptr %at
  %one = insertelement {rows} poison, {number} %threshold, i64 0
  %all = shufflevector {rows} %one, {rows} poison, {ints} zeroinitializer
  %is.above = fcmp ogt {rows} %column, %all
  %minus = sext {flags} %is.above to {ints}
  %above.next = sub {ints} %above, %minus
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %next, label %end
end:
  %first.one = insertelement {ints} poison, i32 %first, i64 0
  %first.all = shufflevector {ints} %first.one, {ints} poison, {ints} zeroinitializer
  %nan.one = insertelement {ints} poison, i32 %nan, i64 0
  %nan.all = shufflevector {ints} %nan.one, {ints} poison, {ints} zeroinitializer
  %interval = add {ints} %above.next, %first.all
  %is.nan = fcmp uno {rows} %column, %column
  %row = select {flags} %is.nan, {ints} %nan.all, {ints} %interval
  %place = mul {ints} %row, {bytes_of_row}
  store {ints} %place, ptr %bins, align 4
  ret void
}}
"""

LEAVES = """
declare {masks} @llvm.cttz.v{lanes}i{bits}({masks}, i1)

define internal void @leaves(ptr %bins, i64 %features, ptr %table, ptr %leaves) alwaysinline {{
start:
  br label %next
next:
  %i = phi i64 [0, %start], [%i.next, %next]
  {start_masks}
  %in = mul i64 %i, {row_count}
  %at = getelementptr i32, ptr %bins, i64 %in
  %place = load i32, ptr %at
  %bytes = zext i32 %place to i64
  %row = getelementptr i8, ptr %table, i64 %bytes
  {and_masks}
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %features
  br i1 %more, label %next, label %end
end:
  {store_leaves}
  ret void
}}
"""

SUMS = """
define internal void @sums(ptr %leaves, i64 %trees, ptr %values, ptr %out) alwaysinline {{
start:
  {load_sums}
  br label %next
next:
  %i = phi i64 [0, %start], [%i.next, %next]
  {start_sums}
  {add_values}
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %trees
  br i1 %more, label %next, label %end
end:
  {store_sums}
  ret void
}}
"""

SCORE = """
define void @score(ptr %rows, i64 %stride, i64 %blocks, ptr %features, i64 %feature.count, ptr %thresholds,
                   ptr %table, i64 %trees, ptr %values, i64 %outputs, ptr %bins, ptr %leaves, ptr %out) {{
start:
  br label %block
block:
  %b = phi i64 [0, %start], [%b.next, %block.end]
  %b.row = mul i64 %b, {row_count}
  %b.rows = getelementptr {number}, ptr %rows, i64 %b.row
  %b.out = getelementptr {sum}, ptr %out, i64 %b.row
  br label %feature
feature:
  %f = phi i64 [0, %block], [%f.next, %feature]
  %f.said = getelementptr [5 x i32], ptr %features, i64 %f
  {load_feature}
  %f.start = mul i64 %f.wide0, %stride
  %f.rows = getelementptr {number}, ptr %b.rows, i64 %f.start
  %f.column = load {rows}, ptr %f.rows, align 4
  %f.thresholds = getelementptr {number}, ptr %thresholds, i64 %f.wide1
  %f.bin = mul i64 %f, {row_count}
  %f.bins = getelementptr i32, ptr %bins, i64 %f.bin
  call void @bins({rows} %f.column, ptr %f.thresholds, i64 %f.wide2, i32 %f3, i32 %f4, ptr %f.bins)
  %f.next = add i64 %f, 1
  %f.more = icmp ult i64 %f.next, %feature.count
  br i1 %f.more, label %feature, label %group
group:
  %g = phi i64 [0, %feature], [%g.next, %group.end]
  %g.out = getelementptr {sum}, ptr %b.out, i64 %g
  br label %row
row:
  %r = phi i64 [0, %group], [%r.next, %row]
  %r.bin = add i64 %g, %r
  %r.bins = getelementptr i32, ptr %bins, i64 %r.bin
  %r.leaf = mul i64 %r, {lane_count}
  %r.leaves = getelementptr i32, ptr %leaves, i64 %r.leaf
  call void @leaves(ptr %r.bins, i64 %feature.count, ptr %table, ptr %r.leaves)
  %r.next = add i64 %r, 1
  %r.more = icmp ult i64 %r.next, {group}
  br i1 %r.more, label %row, label %output
"""

# Behind each SCORE: leaves of GROUP rows are known and summed up; then the next rows, the next block

SUM_UP = """
output:
  %o = phi i64 [0, %{group_block}], [%o.next, %output]
  %o.value = mul i64 %o, {value_count}
  %o.values = getelementptr {sum}, ptr %values, i64 %o.value
  %o.start = mul i64 %o, %stride
  %o.out = getelementptr {sum}, ptr %g.out, i64 %o.start
  call void @sums(ptr {group_leaves}, i64 %trees, ptr %o.values, ptr %o.out)
  %o.next = add i64 %o, 1
  %o.more = icmp ult i64 %o.next, %outputs
  br i1 %o.more, label %output, label %group.end
group.end:
  %g.next = add i64 %g, {group}
  %g.more = icmp ult i64 %g.next, {row_count}
  br i1 %g.more, label %group, label %block.end
block.end:
  %b.next = add i64 %b, 1
  %b.more = icmp ult i64 %b.next, %blocks
  br i1 %b.more, label %block, label %end
end:
  ret void
}}
"""

# What stands there once for each vector of masks, each row of a group, or each fact about a feature: {n} is its number

START_MASKS = "%mask{n} = phi {masks} [{all_ones}, %start], [%mask{n}.next, %next]"
AND_MASKS = """
  %at{n} = getelementptr {masks}, ptr %row, i64 {n}
  %found{n} = load {masks}, ptr %at{n}, align 64
  %mask{n}.next = and {masks} %mask{n}, %found{n}"""
STORE_LEAVES = """
  %bit{n} = call {masks} @llvm.cttz.v{lanes}i{bits}({masks} %mask{n}.next, i1 true)
  %wide{n} = {widened} {masks} %bit{n} to {leaf_ints}
  %leaf{n} = add {leaf_ints} %wide{n}, {first_leaves[{n}]}
  %to{n} = getelementptr {leaf_ints}, ptr %leaves, i64 {n}
  store {leaf_ints} %leaf{n}, ptr %to{n}, align 4"""
LOAD_SUMS = """
  %to{n} = getelementptr {sum}, ptr %out, i64 {n}
  %old{n} = load {sum}, ptr %to{n}"""
START_SUMS = "%sum{n} = phi {sum} [%old{n}, %start], [%new{n}, %next]"
ADD_VALUES = """
  %in{n} = add i64 %i, {group_lanes[{n}]}
  %at{n} = getelementptr i32, ptr %leaves, i64 %in{n}
  %leaf{n} = load i32, ptr %at{n}
  %far{n} = zext i32 %leaf{n} to i64
  %of{n} = getelementptr {sum}, ptr %values, i64 %far{n}
  %value{n} = load {sum}, ptr %of{n}
  %new{n} = fadd {sum} %sum{n}, %value{n}"""
STORE_SUMS = "store {sum} %new{n}, ptr %to{n}"
LOAD_FEATURE = """
  %f.at{n} = getelementptr i32, ptr %f.said, i64 {n}
  %f{n} = load i32, ptr %f.at{n}
  %f.wide{n} = zext i32 %f{n} to i64"""


def written(bits: int, vectors: int, number: str, total: str) -> str:
    """bits: of a mask. vectors: of masks in a row of a table. number, total: "float" or "double"; of rows and thresholds, and of sums."""
    lanes = VECTOR_BITS // bits
    words: Dict[str, Any] = {
        "bits": bits, "number": number, "sum": total, "lanes": lanes, "row_count": ROWS, "group": GROUP,
        "lane_count": lanes * vectors, "value_count": lanes * vectors * bits,
        "rows": f"<{ROWS} x {number}>", "ints": f"<{ROWS} x i32>", "flags": f"<{ROWS} x i1>", "masks": f"<{lanes} x i{bits}>", "leaf_ints": f"<{lanes} x i32>",
        "bytes_of_row": _constant("i32", [VECTOR_BITS // 8 * vectors] * ROWS), "all_ones": _constant(f"i{bits}", [-1] * lanes),
        "widened": {64: "trunc", 32: "bitcast"}.get(bits, "zext"),
        "first_leaves": [_constant("i32", [(vector * lanes + lane) * bits for lane in range(lanes)]) for vector in range(vectors)],
        "group_lanes": [row * lanes * vectors for row in range(GROUP)], "group_block": "row", "group_leaves": "%leaves",
    }  # fmt: skip
    lines = {
        "start_masks": unrolled(START_MASKS, vectors, words), "and_masks": unrolled(AND_MASKS, vectors, words),
        "store_leaves": unrolled(STORE_LEAVES, vectors, words), "load_feature": unrolled(LOAD_FEATURE, 5, words), **sums_unrolled(words),
    }  # fmt: skip
    return "".join(part.format(**words, **lines) for part in (BINS, LEAVES, SUMS, SCORE, SUM_UP))


def sums_unrolled(words: Mapping[str, Any]) -> Dict[str, str]:
    """What SUMS needs. words: `sum`, and `group_lanes`, where the leaves of each row begin."""
    parts = {"load_sums": LOAD_SUMS, "start_sums": START_SUMS, "add_values": ADD_VALUES, "store_sums": STORE_SUMS}
    return {name: unrolled(text, GROUP, words) for name, text in parts.items()}


def unrolled(text: str, count: int, words: Mapping[str, Any]) -> str:
    return "\n  ".join(text.strip().replace("{n}", str(number)).format(**words) for number in range(count))


def _constant(kind: str, values: Sequence[int]) -> str:
    return "<" + ", ".join(f"{kind} {value}" for value in values) + ">"
