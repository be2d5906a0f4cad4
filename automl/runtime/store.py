"""The files below a URL, whatever fsspec reaches it with. Errors are those of its library: callers tell them."""

from __future__ import annotations

import os
from typing import Any

from automl.errors import InputError

WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"}  # stores where a file appears at once or not at all
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


class RemoteFolder:
    """A folder behind a URL, reached over a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._system, self._path = opened(url, is_fresh=True)

    def is_empty(self) -> bool:
        """Whether nothing is there."""
        self._system.invalidate_cache()
        return not (self._system.exists(self._path) and self._system.find(self._path))

    def get(self, name: str) -> bytes:
        """A file's content; FileNotFoundError where there is none."""
        return bytes(self._system.cat_file(f"{self._path}/{name}"))

    def put(self, name: str, content: bytes) -> None:
        """Write a file that appears whole."""
        target = f"{self._path}/{name}"
        protocols = self._system.protocol if isinstance(self._system.protocol, tuple) else (self._system.protocol,)
        if WHOLE.intersection(protocols):
            self._system.pipe_file(target, content)
            return
        self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
        beside = f"{target}.{os.getpid()}.part"
        self._system.pipe_file(beside, content)
        self._system.mv(beside, target)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is none."""
        try:
            self._system.rm_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return


def opened(url: str, *, is_fresh: bool = False) -> tuple[Any, str]:
    """The file system behind a URL, and the path in it."""
    import fsspec

    protocol = url.partition("://")[0]
    try:
        store, path = fsspec.core.url_to_fs(url, **({"skip_instance_cache": True} if is_fresh else {}))
    except ImportError as problem:
        extra = EXTRAS.get(protocol)
        hint = f"pip install 'automl-frontier[{extra}]'" if extra else str(problem)
        raise InputError(f"{url!r} needs a package that is not installed: {hint}.") from problem
    except ValueError as problem:
        raise InputError(
            f"{url!r} is not understood: {why(problem)}. Give a path, an s3:// or a gs:// URL."
        ) from problem
    return store, str(path).rstrip("/")


def why(problem: BaseException) -> str:
    """An error of a store in one line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
