"""Valid files made invalid: by bits and pieces, and by what their format means.

Every choice comes from the `Random` that is given, so that a number names an input for good.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from support.fuzz.formats import geopackage, hdf5, tiff, yaml_text
from support.fuzz.values import EXTREMES, TOKENS, number, value

Mutation = Callable[[Random, bytes], bytes]
MOST = 2**20
"""Bytes that an input grows to."""


def mutated(random: Random, content: bytes, name: str) -> bytes:
    """The content of a file of this name, changed in one to four places."""
    by_format = BY_SUFFIX.get(name.rpartition(".")[2])
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        how = by_format if by_format is not None and random.random() < 0.6 else _bits
        if how is _bits and by_format is hdf5:
            by_format = None  # HDF5 would corrupt this process's memory where it writes to a damaged file
        try:
            content = how(random, content)
        except Exception:  # noqa: BLE001  # whatever a library says of what is no longer a file of its format
            content = _bits(random, content)
    return content[:MOST]


def _bits(random: Random, content: bytes) -> bytes:
    """Changes that know nothing of the format."""
    data = bytearray(content)
    # Half of the time in the first kilobyte, where headers are.
    at = random.randrange(min(len(data), 1024) if random.random() < 0.5 else len(data)) if data else 0
    span = random.choice((1, 2, 4, 8, 16, 64, 256))
    kind = random.randrange(8)
    if kind == 0 and data:
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1 and data:
        data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + span]
    elif kind == 4:
        data[at:at] = random.randbytes(span)
    elif kind == 5:
        data[at:at] = data[at : at + span] * random.choice((1, 2, 50))
    elif kind == 6:
        whole = number(random)
        form = random.choice(("<i", ">i", "<q", ">q", "<h", "<d", "<f"))
        size = struct.calcsize(form)
        data[at : at + size] = struct.pack(form, whole) if form[1] in "df" else _wrapped(whole, form, size)
    else:
        source = random.randrange(len(data)) if data else 0
        data[at : at + span] = data[source : source + span]
    return bytes(data)


def _wrapped(whole: float, form: str, size: int) -> bytes:
    order = "little" if form[0] == "<" else "big"
    return (int(whole) % 2 ** (8 * size)).to_bytes(size, order)


PARTS = (
    re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"),
    re.compile(r'"[^"\n]*"'),
    re.compile(r"^[^\n]*\n", re.MULTILINE),
    re.compile(r"\w+"),
    re.compile(r"[\[\]{}:,]"),
)
"""Parts of a text that are replaced."""


def _text(random: Random, content: bytes) -> bytes:
    """Numbers, quoted words and lines of a text replaced, doubled or left out."""
    text = content.decode("utf-8", "surrogateescape")
    pattern = random.choice(
        (r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", r'"[^"\n]*"', r"(?m)^[^\n]*\n", r"\w+", r"[\[\]{}:,]")
    )
    places = list(re.finditer(pattern, text))
    if not places:
        return _bits(random, content)
    place = random.choice(places)
    token = random.choice((str(random.choice(EXTREMES)), random.choice(TOKENS), "", place[0] * 2))
    if random.random() < 0.02:
        token = random.choice("[{(-") * random.choice((40, 3000, 100_000))
    text = text[: place.start()] + token + text[place.end() :]
    return text.encode("utf-8", "surrogateescape")


def json_changed(random: Random, values: Any) -> Any:
    """A JSON value with one of its parts replaced, removed, doubled or moved."""
    places = [found for found in _places(values) if found[0] is not None]
    if not places or random.random() < 0.02:
        return value(random)
    holder, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        most = MOST // len(json.dumps(holder[key]))  # more would be cut off, and leave no JSON
        holder.extend([holder[key]] * min(random.choice((1, 3, 2000)), most))
    elif kind == 1:
        holder[str(value(random))[:50]] = holder[key]
    elif kind == 2:
        other, where = random.choice(places)
        holder[key] = json.loads(json.dumps(other.get(where) if isinstance(other, dict) else other[where % len(other)]))
    elif kind == 3 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = number(random)
    else:
        holder[key] = value(random)
    return values


def _places(values: Any, holder: Any = None, key: Any = None, depth: int = 0) -> list[tuple[Any, Any]]:
    found = [(holder, key)]
    if depth < 8:
        inner = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
        for name, one in list(inner)[:200]:
            found += _places(one, values, name, depth + 1)
    return found


def _json(random: Random, content: bytes) -> bytes:
    if random.random() < 0.4:
        return _text(random, content)
    return json.dumps(json_changed(random, json.loads(content))).encode("utf-8", "surrogateescape")


def _json_lines(random: Random, content: bytes) -> bytes:
    lines = content.splitlines() or [b""]
    at = random.randrange(len(lines))
    lines[at] = _json(random, lines[at])
    return b"\n".join(lines)


def _yaml(random: Random, content: bytes) -> bytes:
    return _text(random, content) if random.random() < 0.4 else yaml_text(random, content, json_changed)


def _safetensors(random: Random, content: bytes) -> bytes:
    """Header and length that do not fit the rest, or do."""
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = content[8 : 8 + size], content[8 + size :]
    header = _json(random, header)
    claimed = len(header) if random.random() < 0.8 else int(abs(number(random))) % 2**64
    return struct.pack("<Q", claimed) + header + rest


def _npy(random: Random, content: bytes) -> bytes:
    """The header's text changed, its length kept true."""
    (size,) = struct.unpack("<H", content[8:10])
    header = _text(random, content[10 : 10 + size])[:60_000]
    version = random.choice((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00"))
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return content[:6] + version + length + header + content[10 + size :]


def _zip(random: Random, content: bytes) -> bytes:
    """One member changed, and all packed again with true checksums."""
    with ZipFile(BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = random.choice(list(members))
    kind = random.randrange(8)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[random.choice(("../out", "/tmp/out", "images.npy", str(value(random))[:30]))] = members[name]
    else:
        members[name] = mutated(random, members[name], name)
    buffer = BytesIO()
    with ZipFile(buffer, "w", random.choice((ZIP_STORED, ZIP_DEFLATED))) as archive:
        for one, inside in members.items():
            archive.writestr(one.encode("utf-8", "replace").decode() or "x", inside)
    return buffer.getvalue()


BY_SUFFIX: dict[str, Mutation] = {
    "json": _json,
    "geojson": _json,
    "jsonl": _json_lines,
    "yaml": _yaml,
    "csv": _text,
    "txt": _text,
    "safetensors": _safetensors,
    "npy": _npy,
    "npz": _zip,
    "kmz": _zip,
    "zip": _zip,
    "kml": _text,
    "gpkg": geopackage,
    "pt": _zip,
    "h5": hdf5,
    "tif": tiff,
}
