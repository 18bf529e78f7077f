"""What a pickle would import, read from its opcodes without running it.

Standard library only, Python 3.8 and later. Raw arrays between the opcodes, as joblib writes them, end the exact reading; from there on
names are searched for by their bytes, which may miss some, so the verdict never rests on that search.
"""

from __future__ import annotations

import pickletools
import re
from typing import Any, Dict, List, Optional, Set, Tuple

OPCODES_READ = 500_000

_IMPORTS = frozenset(["GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"])
_CALLS = frozenset(["REDUCE", "BUILD", "OBJ", "NEWOBJ", "NEWOBJ_EX", "INST"])
_TEXT = frozenset(["SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"])
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_FIRST_OF_TEXT = b"(]}clNIFVSKJMGX"
_FAULTS = (ValueError, UnicodeDecodeError, IndexError)

_NAME = re.compile(r"[^\W\d][\w.]*\Z")
_OLD = re.compile(
    rb"c((?:sklearn|numpy|scipy|pandas|xgboost|lightgbm|catboost|joblib|torch|os|posix|nt|sys|subprocess|shutil|socket|runpy|pty|builtins|__builtin__)[\w.]*)\n(\w+)\n"
)
_NEW = re.compile(rb"\x8c(.)([A-Za-z_][\w.]*)\x94?\x8c(.)([A-Za-z_][\w.]*)\x94?\x93", re.DOTALL)


def looks_pickled(head: bytes) -> bool:
    """Whether the first bytes allow a pickle at all; only `imports_of` knows."""
    return bool(head) and ((head[:1] == b"\x80" and head[1:2] <= b"\x05") or head[:1] in _FIRST_OF_TEXT)


def imports_of(data: bytes) -> Optional[Tuple[str, ...]]:
    """ "module.name" of every import, possibly incomplete; None when loading these bytes imports nothing.

    A stream with a protocol header counts from its first import, or when it cannot be read to its end; an old one without header, which a
    text file may resemble, must also call something.
    """
    found: Set[str] = set()
    imports = False
    start = 0
    while start < len(data):
        reading = _Reading(data[start:])
        found.update(reading.names)
        imports = imports or reading.imports
        if reading.end is None:
            found.update(_searched(data[start + reading.read :]))
            break
        start += reading.end
        if data[start : start + 1] not in (b"\x80", b"c", b"("):
            break
    return tuple(sorted(found)) if imports else None


class _Reading:
    """One pickle stream, read up to its STOP, a fault, or the limit."""

    def __init__(self, data: bytes) -> None:
        self.names: Set[str] = set()
        self.end: Optional[int] = None
        self.read = 0
        self._headed = data[:1] == b"\x80"
        self._imported = self._called = self._marked = False
        self._since = 0
        self._texts: List[str] = ["", ""]
        self._memo: Dict[int, str] = {}
        self._last: Optional[str] = None
        self._walk(data)
        self.imports = (self._imported and (self._headed or self._called)) or (self._headed and self.end is None)

    def _walk(self, data: bytes) -> None:
        try:
            for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
                self.read = position or 0
                if opcode.name == "STOP":
                    self.end = self.read + 1
                if count > OPCODES_READ:
                    return
                self._step(opcode.name, argument)
        except _FAULTS:
            return

    def _step(self, opcode: str, argument: Any) -> None:
        self._since += self._imported
        if opcode in _TEXT:
            self._push(str(argument))
        elif opcode in _GETS:
            self._push(self._memo.get(int(argument), ""))
        elif opcode == "MEMOIZE":
            self._memo[len(self._memo)] = self._last or ""
        elif opcode in _PUTS:
            self._memo[int(argument)] = self._last or ""
        else:
            self._note(opcode, argument)
            self._last = None

    def _push(self, text: str) -> None:
        self._texts = [self._texts[1], text]
        self._last = text

    def _note(self, opcode: str, argument: Any) -> None:
        if opcode in _IMPORTS:
            module, name = self._texts if opcode == "STACK_GLOBAL" else (str(argument).partition(" ")[0], str(argument).partition(" ")[2])
            named = bool(_NAME.match(module) and _NAME.match(name))
            self._imported = self._imported or self._headed or (named and (opcode == "GLOBAL" or self._marked))
            if named:
                self.names.add(f"{module}.{name}")
        enough = opcode == "INST" or self._since > 1  # a call needs something on the stack besides what it calls
        self._called = self._called or (self._imported and opcode in _CALLS and enough)
        self._marked = self._marked or opcode == "MARK"


def _searched(data: bytes) -> Set[str]:
    old = {b".".join(match.groups()) for match in _OLD.finditer(data)}
    new = {match[2] + b"." + match[4] for match in _NEW.finditer(data) if (ord(match[1]), ord(match[3])) == (len(match[2]), len(match[4]))}
    return {name.decode("ascii", "replace") for name in old | new}
