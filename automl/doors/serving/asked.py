"""What a served model shall be: where it listens, who may ask, how much at once. Checked before anything is loaded."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from automl.errors import InputError, OptionError
from automl.messages import shown

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SHORTEST_TOKEN = 20  # letters
MOST_TOKENS = 50
MAKE_ONE = "python -c 'import secrets; print(secrets.token_urlsafe(32))' > token"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Every knob of `automl serve-model`."""

    place: str  # a run folder or a saved model
    pick: str | None = None
    name: str | None = None  # in addresses of the protocol; None: as the folder is called
    host: str = "127.0.0.1"
    port: int = 8080  # 0: any that is free
    tokens: tuple[bytes, ...] = ()  # their SHA-256; none: nobody is asked for one
    is_open: bool = False  # to everybody, on an address that others reach
    batch: int = 64  # rows that are answered by one call of the model; 1: each request by its own
    is_joined: bool = False  # also members whose last digits depend on the rows beside
    max_rows: int = 5_000  # of a request
    max_mb: float = 16.0  # of its body
    timeout_s: float = 30.0  # for reading a request, and again for answering it
    watched_rows: int = 5_000  # the latest ones, that drift is told of; 0: none
    files: Path | None = None  # a folder whose files cells may name

    def __post_init__(self) -> None:
        for name, least, most in (
            ("port", 0, 65_535), ("batch", 1, 10_000), ("max_rows", 1, 1_000_000), ("max_mb", 0.001, 2_000),
            ("timeout_s", 0.1, 3_600), ("watched_rows", 0, 1_000_000),
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most:
                raise OptionError(f"{name} must be between {least} and {most:,}, got {value!r}.")
        if self.name is not None and not NAME.fullmatch(self.name):
            raise OptionError(
                f"name={shown(self.name)} would be a part of addresses. Use letters, digits, '.', '_' and '-'."
            )
        if self.files is not None and not self.files.is_dir():
            raise OptionError(f"files={str(self.files)!r} is no folder. Name the one whose files cells may name.")
        if self.host not in LOOPBACK and not (self.tokens or self.is_open):
            raise OptionError(
                f"host={self.host!r} can be reached from other machines, so callers need a token. Give --token-file "
                f"FILE ({MAKE_ONE}), or --open to let everybody ask."
            )

    @property
    def body_bytes(self) -> int:
        """Most of a request."""
        return int(self.max_mb * 1e6)


def read_tokens(file: str | Path) -> tuple[bytes, ...]:
    """The SHA-256 of each token in a file, one on a line, so that one can be replaced while the other still works."""
    try:
        lines = Path(file).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the tokens in {str(file)!r} cannot be read: {error}. Make some: {MAKE_ONE}") from error
    if not lines or len(lines) > MOST_TOKENS:
        raise InputError(
            f"{str(file)!r} holds {len(lines)} tokens, 1 to {MOST_TOKENS} can be used. Make one: {MAKE_ONE}"
        )
    if short := [line for line in lines if len(line) < SHORTEST_TOKEN]:
        raise InputError(
            f"a token in {str(file)!r} has {len(short[0])} letters, at least {SHORTEST_TOKEN} are needed. "
            f"Make one: {MAKE_ONE}"
        )
    return tuple(digest(line) for line in lines)


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def is_known(token: str, tokens: tuple[bytes, ...]) -> bool:
    """Whether it is one of these, in a time that does not tell which or how much of it was right."""
    given = digest(token)
    found = [secrets.compare_digest(given, one) for one in tokens]
    return any(found)
