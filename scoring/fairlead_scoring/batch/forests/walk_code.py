"""The code that walks through trees, as text of LLVM (see `table_code`, whose `sums` it shares).

STEPPING rows go down one tree together, a step each, until none of them moves: the processor waits for all of their nodes at once.
"""

from __future__ import annotations

from typing import Any, Dict

from fairlead_scoring.batch.forests.table_code import GROUP, SUM_UP, SUMS, sums_unrolled, unrolled

ROWS = 256  # go down a tree before the next: its upper nodes stay near to the core
STEPPING = 16

WALK = """
define internal void @walk(ptr %rows, i64 %width, ptr %nodes, ptr %numbers, i64 %root, ptr %leaves) alwaysinline {{
start:
  {row_starts}
  br label %next
next:
  {start_nodes}
  {take_steps}
  br i1 %any{last}, label %next, label %end
end:
  {store_leaves}
  ret void
}}
"""

SCORE = """
define void @score(ptr %rows, i64 %width, i64 %blocks, ptr %nodes, ptr %numbers, ptr %roots, i64 %trees,
                   ptr %values, i64 %value.count, i64 %outputs, ptr %leaves, i64 %stride, ptr %out) {{
start:
  br label %block
block:
  %b = phi i64 [0, %start], [%b.next, %block.end]
  %b.row = mul i64 %b, {row_count}
  %b.start = mul i64 %b.row, %width
  %b.rows = getelementptr {number}, ptr %rows, i64 %b.start
  %b.out = getelementptr {sum}, ptr %out, i64 %b.row
  br label %tree
tree:
  %t = phi i64 [0, %block], [%t.next, %tree.end]
  %t.at = getelementptr i32, ptr %roots, i64 %t
  %t.root = load i32, ptr %t.at
  %t.wide = zext i32 %t.root to i64
  %t.leaves = getelementptr i32, ptr %leaves, i64 %t
  br label %some
some:
  %s = phi i64 [0, %tree], [%s.next, %some]
  %s.start = mul i64 %s, %width
  %s.rows = getelementptr {number}, ptr %b.rows, i64 %s.start
  %s.leaf = mul i64 %s, {lane_count}
  %s.leaves = getelementptr i32, ptr %t.leaves, i64 %s.leaf
  call void @walk(ptr %s.rows, i64 %width, ptr %nodes, ptr %numbers, i64 %t.wide, ptr %s.leaves)
  %s.next = add i64 %s, {stepping}
  %s.more = icmp ult i64 %s.next, {row_count}
  br i1 %s.more, label %some, label %tree.end
tree.end:
  %t.next = add i64 %t, 1
  %t.more = icmp ult i64 %t.next, %trees
  br i1 %t.more, label %tree, label %group
group:
  %g = phi i64 [0, %tree.end], [%g.next, %group.end]
  %g.leaf = mul i64 %g, {lane_count}
  %g.leaves = getelementptr i32, ptr %leaves, i64 %g.leaf
  %g.out = getelementptr {sum}, ptr %b.out, i64 %g
  br label %output
"""

# What stands there once for each row that is stepping: {n} is its number, {before[{n}]} what the one before it left

ROW_STARTS = """
  %far{n} = mul i64 %width, {n}
  %row{n} = getelementptr {number}, ptr %rows, i64 %far{n}"""
START_NODES = "%node{n} = phi i64 [%root, %start], [%child{n}, %next]"
TAKE_STEPS = """
  %at{n} = getelementptr [16 x i8], ptr %nodes, i64 %node{n}
  %threshold{n} = load {number}, ptr %at{n}
  %of{n} = getelementptr i8, ptr %at{n}, i64 8
  %column{n} = load i32, ptr %of{n}
  %wide{n} = zext i32 %column{n} to i64
  %cell{n} = getelementptr {number}, ptr %row{n}, i64 %wide{n}
  %value{n} = load {number}, ptr %cell{n}
  %to{n} = getelementptr i8, ptr %at{n}, i64 12
  %left{n} = load i32, ptr %to{n}
  %is.right{n} = fcmp ogt {number} %value{n}, %threshold{n}
  %right{n} = zext i1 %is.right{n} to i32
  %narrow{n} = add i32 %left{n}, %right{n}
  %child{n} = zext i32 %narrow{n} to i64
  %moves{n} = icmp ne i64 %child{n}, %node{n}
  %any{n} = or i1 {before[{n}]}, %moves{n}"""
STORE_LEAVES = """
  %number.at{n} = getelementptr i32, ptr %numbers, i64 %node{n}
  %number{n} = load i32, ptr %number.at{n}
  %leaf{n} = getelementptr i32, ptr %leaves, i64 {row_lanes[{n}]}
  store i32 %number{n}, ptr %leaf{n}"""


def written(trees: int, number: str, total: str) -> str:
    """trees: room for that many. number, total: "float" or "double"; of rows and thresholds, and of sums."""
    words: Dict[str, Any] = {
        "number": number, "sum": total, "row_count": ROWS, "stepping": STEPPING, "group": GROUP, "lane_count": trees, "last": STEPPING - 1,
        "group_lanes": [row * trees for row in range(GROUP)], "row_lanes": [row * trees for row in range(STEPPING)],
        "value_count": "%value.count", "group_block": "group", "group_leaves": "%g.leaves", "before": ["false", *(f"%any{row}" for row in range(STEPPING - 1))],
    }  # fmt: skip
    lines = {
        "row_starts": unrolled(ROW_STARTS, STEPPING, words), "start_nodes": unrolled(START_NODES, STEPPING, words),
        "take_steps": unrolled(TAKE_STEPS, STEPPING, words), "store_leaves": unrolled(STORE_LEAVES, STEPPING, words), **sums_unrolled(words),
    }  # fmt: skip
    return "".join(part.format(**words, **lines) for part in (WALK, SUMS, SCORE, SUM_UP))
