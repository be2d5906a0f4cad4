"""What fuzz.py changes in a saved model: bytes, JSON fields, indices, shapes, names and sizes; hashes are made to fit.

A model is its manifest and its files as bytes. The same number and seed change the same thing.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
import random
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

WHOLE = (
    -1,
    0,
    1,
    2,
    7,
    127,
    128,
    255,
    256,
    65_535,
    10**6,
    2**31 - 1,
    -(2**31),
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    -(2**63),
)
REAL = (0.0, -0.0, 1e-300, 1e300, -1e300, math.inf, -math.inf, math.nan, 0.5, -1.0)
TEXTS = (
    "",
    " ",
    "..",
    "../../x",
    "/etc/passwd",
    "a\0b",
    "x" * 10_000,
    "\n",
    "é" * 50,
    "nan",
    "1e999",
    "__class__",
    "{}",
    "-",
)
OTHER = (None, True, [], {}, [[]], "", 0)
MANIFEST = "manifest.json"


@dataclass
class Saved:
    """A saved model in memory."""

    manifest: dict[str, Any]
    files: dict[str, bytes]

    @property
    def mb(self) -> float:
        """What its files hold."""
        return sum(map(len, self.files.values())) / 2**20

    def sealed(self) -> bytes:
        """The manifest with hashes that fit."""
        listed = self.manifest.get("files")
        if isinstance(listed, dict):
            for name, content in self.files.items():
                if name in listed:
                    listed[name] = hashlib.sha256(content).hexdigest()
        return json.dumps(self.manifest).encode("utf-8", "surrogatepass")


Mutation = Callable[[random.Random, bytes], bytes]


def mutated(saved: Saved, dice: random.Random) -> tuple[Saved, str]:
    """A changed copy, and what was changed."""
    made = Saved(copy.deepcopy(saved.manifest), dict(saved.files))
    told = []
    for _ in range(1 if dice.random() < 0.8 else dice.randint(2, 4)):
        draw = dice.random()
        if draw < 0.2:
            told.append(f"{MANIFEST}: {_change_json(dice, made.manifest)}")
        elif draw < 0.25:
            told.append(_rename(dice, made))
        else:
            name = dice.choice(sorted(made.files))
            ways = WAYS.get(name.rsplit(".", 1)[-1], ())
            way = dice.choice([*ways, *ways, *ways, _bytes])
            try:
                made.files[name] = way(dice, made.files[name])
            except Exception as problem:  # noqa: BLE001 - what was changed before cannot be read any more
                made.files[name] = _bytes(dice, made.files[name])
                told.append(f"({type(problem).__name__})")
            told.append(f"{name}: {way.__name__}")
    return made, "; ".join(told)


# --- bytes -----------------------------------------------------------------------------------------------------------


def _bytes(dice: random.Random, content: bytes) -> bytes:
    """Some bytes are others, gone, twice there or new."""
    found = bytearray(content or b"\0")
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at, draw = dice.randrange(len(found)), dice.random()
        if draw < 0.6:
            found[at] = dice.randrange(256)
        elif draw < 0.7:
            found[at] ^= 1 << dice.randrange(8)
        elif draw < 0.8:
            del found[at : at + dice.choice((1, 4, 64))]
        elif draw < 0.9:
            found[at:at] = bytes(dice.randrange(256) for _ in range(dice.choice((1, 4, 16))))
        elif draw < 0.95:
            found[at:at] = found[at : at + dice.choice((4, 64, 1024))]
        else:
            del found[at:]
        if not found:
            return b""
    return bytes(found)


def _number_in_bytes(dice: random.Random, content: bytes) -> bytes:
    """A number of four or eight bytes is another one, in either order."""
    order = dice.choice("<>")
    form = dice.choice("iIqdf")
    value: Any = dice.choice(REAL) if form in "df" else dice.choice(WHOLE)
    if form == "f" and abs(value) > 1e38:
        value = math.inf
    size = struct.calcsize(form)
    if form in "iIq":
        value &= 2 ** (8 * size) - 1
        form = {"i": "I", "I": "I", "q": "Q"}[form]
    at = dice.randrange(max(1, len(content) - size)) // dice.choice((1, 4, 4)) * 1
    return content[:at] + struct.pack(order + form, value) + content[at + size :]


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(dice: random.Random, content: bytes) -> bytes:
    """A field of a JSON file is another one."""
    told = json.loads(content)
    _change_json(dice, told)
    return json.dumps(told).encode("utf-8", "surrogatepass")


def _change_json(dice: random.Random, told: Any) -> str:
    """Somewhere inside: a value, a key, a length."""
    holder, key, path = told, None, ""
    while isinstance(holder, dict | list) and holder:
        at = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
        path += f"/{at!s:.30}"
        inner = holder[at]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.12:
            key = at
            break
        holder = inner
    if key is None:
        return "nothing"
    draw, value = dice.random(), holder[key]
    if draw < 0.1:
        del holder[key]
        return f"{path} gone"
    if draw < 0.2 and isinstance(value, list) and value:
        holder[key] = value * dice.choice((2, 1000, 100_000 // len(value) + 1))
        return f"{path} longer"
    if draw < 0.25 and isinstance(value, list):
        holder[key] = value[: dice.randrange(len(value) + 1)]
        return f"{path} shorter"
    if draw < 0.3 and isinstance(holder, dict):
        holder[dice.choice(TEXTS)] = holder.pop(key)
        return f"{path} under another name"
    holder[key] = _other(dice, value)
    return f"{path} = {holder[key]!r:.40}"


def _other(dice: random.Random, value: Any) -> Any:
    if dice.random() < 0.15:
        return dice.choice(OTHER)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return dice.choice((*WHOLE, value + 1, value - 1, -value, value * 1000, value + 0.5))
    if isinstance(value, float):
        return dice.choice((*REAL, -value, value * 1e6, int(value) if math.isfinite(value) else 0))
    if isinstance(value, str):
        return dice.choice((*TEXTS, value + "x", value[:-1], value[::-1], value * 100))
    return dice.choice(OTHER)


def _rename(dice: random.Random, saved: Saved) -> str:
    """A file has another name, in the manifest or in both places."""
    name = dice.choice(sorted(saved.files))
    other = dice.choice((*TEXTS, name + "x", f"../{name}", f"a/../../{name}", f"/{name}", name.replace("/", "\\")))
    listed = saved.manifest.get("files")
    if isinstance(listed, dict):
        listed[other] = listed.pop(name, "0")
    if (
        dice.random() < 0.5
        and ".." not in other
        and not other.startswith("/")
        and "\0" not in other
        and len(other) < 99
    ):
        saved.files[other] = saved.files.pop(name)
    return f"{name} is called {other[:30]!r}"


# --- arrays ----------------------------------------------------------------------------------------------------------


def _npz(dice: random.Random, content: bytes) -> bytes:
    """An array has other values, another shape, type or name, or says that it has."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    name = dice.choice(sorted(members))
    draw = dice.random()
    if draw < 0.7:
        members[name] = _npy(dice, members[name])
    elif draw < 0.8:
        members[dice.choice(sorted(members))] = members[name]
    elif draw < 0.9:
        del members[name]
    else:
        members[dice.choice(("x.npy", "../x.npy", "/x.npy", ""))] = members.pop(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w", dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    ) as archive:
        for one, data in members.items():
            archive.writestr(one or "empty", data)
    return buffer.getvalue()


def _npy(dice: random.Random, content: bytes) -> bytes:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    draw = dice.random()
    if draw < 0.45 and array.size:
        array = array.copy()
        flat = array.reshape(-1)
        for _ in range(dice.choice((1, 1, 3, array.size))):
            value: Any = dice.choice(REAL if array.dtype.kind == "f" else (*WHOLE, int(array.size), int(flat.max())))
            with np.errstate(all="ignore"):
                flat[dice.randrange(array.size)] = np.array(value).astype(array.dtype)
    elif draw < 0.55:
        array = dice.choice((array[:-1], array[..., None], array.reshape(-1), array[:0])) if array.ndim else array[None]
    elif draw < 0.65:
        array = np.concatenate([array.reshape(-1)] * dice.choice((2, 50)))
    elif draw < 0.75:
        array = array.astype(dice.choice(("int8", "int64", "float64", "float16", "bool", "complex64", "S8", "U4")))
    elif draw < 0.8:
        return _pickled()
    elif draw < 0.9:
        return _lying(dice, array)
    else:
        array = np.zeros(
            dice.choice(((10_000_000,), (3000, 3000))), dtype=array.dtype if array.dtype.kind in "biuf" else "f4"
        )
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _pickled() -> bytes:
    """An array of objects, which would be a pickle."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _lying(dice: random.Random, array: np.ndarray) -> bytes:
    """A header that promises more than there is."""
    buffer = io.BytesIO()
    shape = dice.choice(((2**40,), (2**31, 2**31), (-1,), (10**9,), (1,) * 40, (array.size + 1,)))
    header = {"descr": array.dtype.str, "fortran_order": dice.random() < 0.3, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + array.tobytes()


def _bomb(dice: random.Random, content: bytes) -> bytes:
    """An archive that says of its members that they are larger."""
    found = bytearray(content)
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        place = found.find(mark)
        if place >= 0:
            found[place + at : place + at + 4] = struct.pack("<I", dice.choice((2**31, 2**32 - 2, 0, 1, 10**8)))
    return bytes(found)


# --- boosters and weights --------------------------------------------------------------------------------------------


def _text(dice: random.Random, content: bytes) -> bytes:
    """A line of a text is gone, twice there, or has another number."""
    lines = content.split(b"\n")
    places = [at for at, line in enumerate(lines) if b"=" in line]
    if not places:
        return _bytes(dice, content)
    at = dice.choice(places if dice.random() < 0.4 else places[: max(1, len(places) * 2 // 3)])
    draw = dice.random()
    if draw < 0.1:
        del lines[at]
    elif draw < 0.2:
        lines.insert(at, lines[dice.choice(places)])
    else:
        name, _, values = lines[at].partition(b"=")
        tokens = values.split(b" ")
        for _ in range(dice.choice((1, 1, 2))):
            other = dice.choice((*map(str, WHOLE), *map(str, REAL), *TEXTS[:4], "1e", "--1", "0x1", "9" * 400))
            tokens[dice.randrange(len(tokens))] = other.encode("utf-8", "replace")
        if dice.random() < 0.2:
            tokens = tokens[: dice.randrange(len(tokens) + 1)] if dice.random() < 0.5 else tokens * 3
        lines[at] = name + b"=" + b" ".join(tokens)
    return b"\n".join(lines)


def _safetensors(dice: random.Random, content: bytes) -> bytes:
    """The header says something else of a tensor."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    _change_json(dice, header)
    told = json.dumps(header).encode()
    size = dice.choice((len(told), len(told), len(told), dice.choice(WHOLE) % 2**64))
    return size.to_bytes(8, "little") + told + content[8 + length :]


WAYS: dict[str, tuple[Mutation, ...]] = {
    "json": (_json,),
    "npz": (_npz, _npz, _bomb),
    "txt": (_text,),
    "ubj": (_number_in_bytes,),
    "cbm": (_number_in_bytes,),
    "safetensors": (_safetensors, _number_in_bytes),
}
