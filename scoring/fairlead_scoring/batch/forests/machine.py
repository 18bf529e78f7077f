"""Text of LLVM as a function, compiled for this very processor: a few milliseconds, so that nothing is kept from one process to the next."""

from __future__ import annotations

import ctypes
from typing import Any, Callable

import numpy as np

from fairlead_scoring.batch.forests.unfit import NotHere

LINE = 64  # bytes of cache
POINTER, NUMBER = ctypes.c_void_p, ctypes.c_int64


class Function:
    """`score` of such a text. It does not hold the interpreter; threads may call it at once. Arrays are given by where they are: the caller keeps them."""

    def __init__(self, text: str) -> None:
        """Raises NotHere where llvmlite is missing, or does not know this processor or what is written."""
        try:
            import llvmlite.binding as llvm

            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
            module = llvm.parse_assembly(text)
            target = llvm.Target.from_default_triple()
            machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3)
            self._engine = llvm.create_mcjit_compiler(module, machine)  # with whose end the code ends
            self._engine.finalize_object()
        except ImportError as error:
            raise NotHere(f"llvmlite is not installed here ({error})") from error
        except Exception as error:  # whatever keeps it from compiling, ONNX Runtime is there
            raise NotHere(f"llvmlite does not compile for this machine ({' '.join(str(error).split())[:200]})") from error
        self._address = self._engine.get_function_address("score")

    def __call__(self, *arguments: Any) -> None:
        kinds = [NUMBER if isinstance(each, int) else POINTER for each in arguments]
        call: Callable[..., None] = ctypes.CFUNCTYPE(None, *kinds)(self._address)
        call(*(each if isinstance(each, int) else each.ctypes.data for each in arguments))


def on_lines(array: Any) -> Any:
    """The same, from the border of a cache line on."""
    room = np.empty(array.nbytes + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    found = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found
