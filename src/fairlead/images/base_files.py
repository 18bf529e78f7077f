"""What a base image has in it, found by reading its layers: which Pythons, which C library. Nothing of it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fairlead.images.tar_reading import Member, TarReader
from fairlead.images.wheels import Libc

_LARGEST = 64 << 20  # bytes of a library or interpreter that is looked into
_HOPS = 40  # of symbolic links, as Linux has it
_PYTHON = re.compile(r"(?:.*/)?bin/python(3\.\d+)")
_TELLING = re.compile(r"(?:.*/)?(?:bin/python3\.\d+|libpython3\.\d+\.so[.\d]*|libc\.so\.6|libc-2\.\d+\.so|ld-musl-[\w-]+\.so\.1)")
_LIBRARY = re.compile(r"(?:usr/)?(?:local/)?lib(?:64)?/(?:[\w-]+/)?[^/]+\.so(?:\.\d+)*")
_GLIBC = re.compile(rb"stable release version (2\.\d+)")
_MUSL = re.compile(rb"\0(1\.\d+\.\d+)\0")
_MACHINES = {0x3E: "amd64", 0xB7: "arm64"}  # e_machine of ELF
_INTERPRETER = re.compile(rb"/[\w./-]*ld-(linux|musl)[\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class BasePython:
    """`path`: absolute, no link. `version`: such as 3.11.2, or the minor when its patch cannot be told. `whole`: it has the standard library."""

    path: str
    version: str
    whole: bool
    libc: Libc | None
    machine: str | None

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> BasePython:
        return cls(**{**said, "libc": Libc(**said["libc"]) if said["libc"] else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    kind: str
    link: str
    content: bytes


class BaseFiles:
    """The file system that layers make, one over the other. Content is kept of the few files that tell something."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def add_layer(self, read: Callable[[int], bytes], what: str) -> None:
        """The next layer up: an uncompressed tar archive. Raises UsageError."""
        fresh: dict[str, _Node] = {}
        for member, content in TarReader(read, what).members(_tells):
            folder, _, name = member.path.rpartition("/")
            if name == ".wh..wh..opq":
                self._forget(f"{folder}/")
            elif name.startswith(".wh."):
                self._forget(_joined(folder, name.removeprefix(".wh.")))
            else:
                fresh[member.path] = self._node(member, content, fresh)
        self._nodes.update(fresh)

    def pythons(self, path: Sequence[str]) -> list[BasePython]:
        """Those in the folders, the first folder first; each minor once."""
        found: dict[str, BasePython] = {}
        for folder in path:
            place = self._resolved(folder)
            for name in sorted(self._nodes):
                match = _PYTHON.fullmatch(name)
                if match and place is not None and name.rpartition("/")[0] == place and (real := self._resolved(name)) is not None:
                    found.setdefault(match[1], self._python(real, match[1]))
        return list(found.values())

    def libraries(self) -> list[str]:
        """Names of shared libraries in the folders that the loader looks into."""
        return sorted({name.rpartition("/")[2] for name, node in self._nodes.items() if _LIBRARY.fullmatch(name) and node.kind in ("file", "link")})

    def _python(self, real: str, minor: str) -> BasePython:
        prefix = real.rpartition("/bin/")[0]
        content = self._nodes[real].content
        library = next((node.content for name, node in sorted(self._nodes.items()) if f"/libpython{minor}.so" in name and node.content), b"")
        return BasePython(
            path=f"/{real}",
            version=_version(content, minor) or _version(library, minor) or minor,
            whole=self._resolved(f"{prefix}/lib/python{minor}/asyncio/__init__.py") is not None,
            libc=self._libc(content),
            machine=_MACHINES.get(int.from_bytes(content[18:20], "little")) if content[:4] == b"\x7fELF" else None,
        )

    def _libc(self, python: bytes) -> Libc | None:
        asked = _INTERPRETER.search(python[:4096])
        is_musl = asked is not None and asked[1] == b"musl"
        named, pattern = (re.compile(r"ld-musl-.*"), _MUSL) if is_musl else (re.compile(r"libc[.-].*"), _GLIBC)
        for path, node in sorted(self._nodes.items()):
            if node.content and named.fullmatch(path.rpartition("/")[2]) and (found := pattern.search(node.content)):
                return Libc(kind="musl" if is_musl else "glibc", version=found[1].decode())
        return None

    def _node(self, member: Member, content: bytes, fresh: Mapping[str, _Node]) -> _Node:
        if member.kind == "hardlink":
            target = "/".join(part for part in member.link.split("/") if part not in ("", "."))
            return fresh.get(target) or self._nodes.get(target) or _Node(kind="other", link="", content=b"")
        return _Node(kind=member.kind, link=member.link, content=content)

    def _forget(self, path: str) -> None:
        below = path if path.endswith("/") else f"{path}/"
        for name in [each for each in self._nodes if each == path or each.startswith(below)]:
            del self._nodes[name]

    def _resolved(self, path: str) -> str | None:
        """Where links lead in the end; None when there is nothing, or they go in a circle."""
        done: list[str] = []
        todo = [part for part in path.split("/")[::-1] if part not in ("", ".")]
        hops = 0
        while todo:
            part = todo.pop()
            if part == "..":
                done = done[:-1]
                continue
            node = self._nodes.get("/".join((*done, part)))
            if node is not None and node.kind == "link":
                hops += 1
                if hops > _HOPS:
                    return None
                done = [] if node.link.startswith("/") else done
                todo += [each for each in node.link.split("/")[::-1] if each not in ("", ".")]
            else:
                done.append(part)
        found = "/".join(done)
        is_folder = any(name.startswith(f"{found}/") for name in self._nodes) if found not in self._nodes else True
        return found if is_folder else None


def _tells(member: Member) -> bool:
    return member.size <= _LARGEST and _TELLING.fullmatch(member.path) is not None


def _version(content: bytes, minor: str) -> str | None:
    """The interpreter holds its version as a string of its own."""
    found = re.search(rb"\0(" + re.escape(minor.encode()) + rb"\.\d+)(?:\+|rc\d+)?\0", content)
    return found[1].decode() if found else None


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
