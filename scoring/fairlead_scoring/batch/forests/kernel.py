"""Tables compiled for this processor, by LLVM through llvmlite: a few milliseconds, so that nothing is kept from one process to the next."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fairlead_scoring.batch.forests import assembly
from fairlead_scoring.batch.forests.tables import Chunk, Tables
from fairlead_scoring.batch.forests.unfit import NotHere

LINE = 64  # bytes
_P, _N = ctypes.c_void_p, ctypes.c_int64
_SCORE = ctypes.CFUNCTYPE(None, _P, _N, _N, _P, _N, _P, _P, _N, _P, _N, _P, _P, _P)


class Kernel:
    """Threads may use it at once; it does not hold the interpreter."""

    def __init__(self, tables: Tables) -> None:
        """Raises NotHere where llvmlite is missing, or does not know this processor or what is written."""
        text = assembly.written(tables.bits, tables.vectors, "float" if tables.is_rounded else "double", _of_sums(tables))
        try:
            import llvmlite.binding as llvm

            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            module = llvm.parse_assembly(text)
            machine = llvm.Target.from_default_triple().create_target_machine(
                cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
            )
            self._engine = llvm.create_mcjit_compiler(module, machine)  # whose end would be the code's
            self._engine.finalize_object()
        except ImportError as error:
            raise NotHere(f"llvmlite is not installed here ({error})") from error
        except Exception as error:  # whatever keeps it from compiling, ONNX Runtime is there
            raise NotHere(f"llvmlite does not compile for this machine ({' '.join(str(error).split())[:200]})") from error
        self._score = _SCORE(self._engine.get_function_address("score"))
        self._chunks = [_near(each) for each in tables.chunks]
        self._lanes = tables.chunks[0].table.shape[1]

    def add(self, columns: Any, sums: Any) -> None:
        """columns: (features, rows), rows a multiple of assembly.ROWS; sums: (outputs, rows), to which the trees' values are added. Both contiguous."""
        stride = columns.shape[1]
        leaves = np.empty((assembly.GROUP, self._lanes), np.int32)
        for chunk in self._chunks:
            bins = np.empty((len(chunk.features), assembly.ROWS), np.int32)
            out = sums[chunk.outputs]
            self._score(
                _at(columns), stride, stride // assembly.ROWS, _at(chunk.features), len(chunk.features), _at(chunk.thresholds),
                _at(chunk.table), chunk.trees, _at(chunk.values), len(out), _at(bins), _at(leaves), _at(out),
            )  # fmt: skip


def _of_sums(tables: Tables) -> str:
    return "float" if tables.chunks[0].values.dtype == "float32" else "double"


def _at(array: Any) -> int:
    return int(array.ctypes.data)


def _near(chunk: Chunk) -> Chunk:
    """With its table on the borders of cache lines."""
    size = chunk.table.nbytes
    room = np.empty(size + LINE, np.uint8)
    start = -_at(room) % LINE
    table = room[start : start + size].view(chunk.table.dtype).reshape(chunk.table.shape)
    table[...] = chunk.table
    return chunk._replace(table=table)
