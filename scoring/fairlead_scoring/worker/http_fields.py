"""Names and values as HTTP has them: headers, query strings, forms, with the interface that Flask scripts know from werkzeug."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union
from urllib.parse import unquote

from fairlead_scoring.worker.exchange import BadInput

Pairs = Iterable[Tuple[str, Any]]

PARAMETER = re.compile(r";[ \t]*(?P<name>[\w!#$%&'*+\-.^`|~]+)=(?:(?P<token>[\w!#$%&'*+\-.^`|~]+)|\"(?P<quoted>(?:\\[\\\"]|(?!\\[\\\"])[^\"])*)\")", re.ASCII)
ESCAPED = re.compile(r"\\(.)")
MARK = re.compile(r"(?P<continued>\*\d+)?(?P<encoded>\*)?$")
ENCODED = re.compile(r"([\w!#$%&*+\-.^`|~]*)'[\w!#$%&*+\-.^`|~]*'([\w!#$%&'*+\-.^`|~]+)$", re.ASCII)  # RFC 2231: charset'language'text
CHARSETS = ("ascii", "us-ascii", "utf-8", "iso-8859-1")


class MissingKey(BadInput, KeyError):
    """A field that the script asked for is not in the request: the caller's mistake, and a KeyError for scripts that expect one."""

    code = 400

    @property
    def description(self) -> str:
        return self.message

    def __str__(self) -> str:
        return self.message


class MultiDict(Dict[str, Any]):
    """Several values per name. `d[name]` is the first one; `fault` says why it is empty when it could not be read."""

    def __init__(self, pairs: Pairs = (), *, kind: str = "field", fault: str = "") -> None:
        super().__init__()
        self._kind = kind
        self.fault = fault
        for name, value in pairs:
            self.add(name, value)

    def add(self, name: str, value: Any) -> None:
        super().setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> Any:
        if name in self:
            return super().__getitem__(name)[0]
        there = ", ".join(f"'{one}'" for one in self) or "none at all"
        reason = f" ({self.fault})" if self.fault else ""
        raise MissingKey(f"The request has no {self._kind} '{name}'; it has {there}{reason}.")

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, [value])

    def get(self, name: str, default: Any = None, type: Optional[Callable[[Any], Any]] = None) -> Any:  # noqa: A002  (werkzeug's name)
        if name not in self:
            return default
        return _converted(self[name], default, type)

    def getlist(self, name: str, type: Optional[Callable[[Any], Any]] = None) -> List[Any]:  # noqa: A002  (werkzeug's name)
        values = list(super().get(name, ()))
        if type is None:
            return values
        missing = object()
        found = [_converted(value, missing, type) for value in values]
        return [value for value in found if value is not missing]

    def items(self, multi: bool = False) -> Any:
        for name, values in super().items():
            for value in values if multi else values[:1]:
                yield name, value

    def lists(self) -> Iterator[Tuple[str, List[Any]]]:
        for name, values in super().items():
            yield name, list(values)

    def values(self) -> Any:
        return (values[0] for values in super().values())

    def to_dict(self, flat: bool = True) -> Dict[str, Any]:
        return dict(self.items()) if flat else dict(self.lists())

    def copy(self) -> MultiDict:
        return MultiDict(self.items(multi=True), kind=self._kind, fault=self.fault)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.items(multi=True))!r})"


class Headers:
    """Case-insensitive, repeatable, in order."""

    def __init__(self, pairs: Union[Pairs, Dict[str, Any], None] = None) -> None:
        self._pairs: List[Tuple[str, str]] = []
        self.extend(pairs or ())

    def __getitem__(self, name: str) -> str:
        found = self.getlist(name)
        if not found:
            raise MissingKey(f"The request has no header '{name}'.")
        return found[0]

    def get(self, name: str, default: Any = None, type: Optional[Callable[[Any], Any]] = None) -> Any:  # noqa: A002  (werkzeug's name)
        found = self.getlist(name)
        return _converted(found[0], default, type) if found else default

    def getlist(self, name: str) -> List[str]:
        lowered = name.lower()
        return [value for key, value in self._pairs if key.lower() == lowered]

    get_all = getlist

    def add(self, name: str, value: Any) -> None:
        self._pairs.append((name, _one_line(name, value)))

    add_header = add

    def set(self, name: str, value: Any) -> None:
        text = _one_line(name, value)
        lowered = name.lower()
        place = next((at for at, (key, _) in enumerate(self._pairs) if key.lower() == lowered), len(self._pairs))
        rest = [pair for pair in self._pairs[place:] if pair[0].lower() != lowered]
        self._pairs[place:] = [(name, text), *rest]

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def setdefault(self, name: str, default: Any) -> str:
        if name not in self:
            self.set(name, default)
        return self[name]

    def extend(self, pairs: Union[Pairs, Dict[str, Any]]) -> None:
        for name, value in _pairs_of(pairs):
            self.add(name, value)

    def update(self, pairs: Union[Pairs, Dict[str, Any]]) -> None:
        for name, value in _pairs_of(pairs):
            self.set(name, value)

    def remove(self, name: str) -> None:
        lowered = name.lower()
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != lowered]

    __delitem__ = remove

    def pop(self, name: str, default: Any = None) -> Any:
        value = self.get(name, default)
        self.remove(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.getlist(name))

    def __iter__(self) -> Iterator[Tuple[str, str]]:
        return iter(list(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def items(self, lower: bool = False) -> Iterator[Tuple[str, str]]:
        return iter([(name.lower() if lower else name, value) for name, value in self._pairs])

    def keys(self, lower: bool = False) -> Iterator[str]:
        return iter([name for name, _ in self.items(lower)])

    def values(self) -> Iterator[str]:
        return iter([value for _, value in self._pairs])

    def to_wsgi_list(self) -> List[Tuple[str, str]]:
        return list(self._pairs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._pairs!r})"

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._pairs) + "\r\n"


class WithContentType:
    """What a request and an uploaded file say about their content, from their headers."""

    headers: Headers

    @property
    def content_type(self) -> Optional[str]:
        kind: Optional[str] = self.headers.get("content-type")
        return kind

    @property
    def mimetype(self) -> str:
        return parse_options(self.content_type)[0].lower()

    @property
    def mimetype_params(self) -> Dict[str, str]:
        return parse_options(self.content_type)[1]


def parse_options(value: Optional[str]) -> Tuple[str, Dict[str, str]]:
    """`form-data; name="a"` as ("form-data", {"name": "a"}); also RFC 2231's `filename*=UTF-8''%e2…` and `filename*0=…`."""
    main, _, rest = (value or "").partition(";")
    options: Dict[str, str] = {}
    continued: Dict[str, Tuple[str, str]] = {}  # name → charset, text so far
    for match in PARAMETER.finditer(";" + rest.strip(" \t")) if main.strip(" \t") else ():
        mark = MARK.search(match["name"])
        assert mark is not None  # it matches the empty string
        name = match["name"][: mark.start()].lower()
        is_continued = mark["continued"] is not None
        charset, before = continued.get(name, ("", "")) if is_continued else ("", "")
        charset, text = _parameter_text(match, is_encoded=mark["encoded"] is not None, charset=charset)
        if is_continued:
            continued[name] = (charset, before + text)
        else:
            continued.pop(name, None)
        options[name] = before + text
    return main.strip(" \t"), options


def _parameter_text(match: Any, *, is_encoded: bool, charset: str) -> Tuple[str, str]:
    text = match["token"] if match["token"] is not None else ESCAPED.sub(r"\1", match["quoted"])
    if not is_encoded:
        return charset, text.replace("%22", '"')
    marked = ENCODED.match(text)
    if marked:
        charset, text = marked[1].lower() or charset, marked[2]
    return charset, unquote(text, encoding=charset) if charset in CHARSETS else text


def _converted(value: Any, default: Any, convert: Optional[Callable[[Any], Any]]) -> Any:
    if convert is None:
        return value
    try:
        return convert(value)
    except (ValueError, TypeError):
        return default


def _one_line(name: str, value: Any) -> str:
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ValueError(f"The value of the header {name} must not contain line breaks.")
    return text


def _pairs_of(pairs: Union[Pairs, Dict[str, Any], Headers]) -> Iterator[Tuple[str, Any]]:
    for name, value in pairs.items() if isinstance(pairs, (dict, Headers)) else pairs:
        for one in value if isinstance(value, (list, tuple)) else [value]:
            yield name, one
