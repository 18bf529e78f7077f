"""NaCl's secret box (XSalsa20 and Poly1305), for the one place that asks for it: cosign's files of private keys.

`cryptography` has Poly1305 and no Salsa20, so that half is here, after D. J. Bernstein's «Extending the Salsa20 nonce» and «Cryptography in NaCl».
Made for keys of some hundred bytes, not for speed.
"""

from __future__ import annotations

import struct
from itertools import islice

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

KEY_SIZE = 32
NONCE_SIZE = 24
TAG_SIZE = 16

_CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")
_QUARTERS = (  # columns, then rows
    (0, 4, 8, 12),
    (5, 9, 13, 1),
    (10, 14, 2, 6),
    (15, 3, 7, 11),
    (0, 1, 2, 3),
    (5, 6, 7, 4),
    (10, 11, 8, 9),
    (15, 12, 13, 14),
)


def seal(message: bytes, nonce: bytes, key: bytes) -> bytes:
    """The tag, then the encrypted message."""
    one_time_key, encrypted = _encrypt(message, nonce, key)
    return Poly1305.generate_tag(one_time_key, encrypted) + encrypted


def unseal(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """Raises ValueError when the key is another, or the box was changed."""
    if len(nonce) != NONCE_SIZE or len(box) < TAG_SIZE:
        raise ValueError("no box")
    tag, encrypted = box[:TAG_SIZE], box[TAG_SIZE:]
    one_time_key, message = _encrypt(encrypted, nonce, key)
    try:
        Poly1305.verify_tag(one_time_key, encrypted, tag)
    except InvalidSignature:
        raise ValueError("another key") from None
    return message


def _encrypt(message: bytes, nonce: bytes, key: bytes) -> tuple[bytes, bytes]:
    """The key of the tag, and the message mixed with the stream that comes after it; mixing twice is undoing."""
    subkey = _derive(nonce[:16], key)
    blocks = -(-(32 + len(message)) // 64)
    stream = b"".join(_block(subkey, nonce[16:], number) for number in range(blocks))
    return stream[:32], bytes(one ^ other for one, other in zip(message, islice(stream, 32, None), strict=False))


def _derive(nonce: bytes, key: bytes) -> bytes:
    """HSalsa20: the words that no input can steer."""
    mixed = _mix(_start(key, struct.unpack("<4I", nonce)))
    return struct.pack("<8I", *(mixed[place] for place in (0, 5, 10, 15, 6, 7, 8, 9)))


def _block(key: bytes, nonce: bytes, number: int) -> bytes:
    """Salsa20: 64 bytes of the stream."""
    start = _start(key, (*struct.unpack("<2I", nonce), number & 0xFFFFFFFF, number >> 32))
    return struct.pack("<16I", *((one + other) & 0xFFFFFFFF for one, other in zip(start, _mix(start), strict=True)))


def _start(key: bytes, middle: tuple[int, ...]) -> list[int]:
    words, c = struct.unpack("<8I", key), _CONSTANTS
    return [c[0], *words[:4], c[1], *middle, c[2], *words[4:], c[3]]


def _mix(start: list[int]) -> list[int]:
    """Twenty rounds."""
    x = list(start)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            x[b] ^= _turn(x[a] + x[d], 7)
            x[c] ^= _turn(x[b] + x[a], 9)
            x[d] ^= _turn(x[c] + x[b], 13)
            x[a] ^= _turn(x[d] + x[c], 18)
    return x


def _turn(word: int, by: int) -> int:
    word &= 0xFFFFFFFF
    return (word << by | word >> (32 - by)) & 0xFFFFFFFF
