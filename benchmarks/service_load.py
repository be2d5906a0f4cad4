"""Clients for benchmarks/service.py: raw HTTP over connections that are kept, so that little of the time is theirs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Times:
    """How long answers took."""

    each_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    errors: int = 0

    def at(self, share: float) -> float:
        """A quantile in milliseconds."""
        ordered = sorted(self.each_s)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def add(self, other: Times) -> None:
        """Of another round."""
        self.each_s += other.each_s
        self.wall_s += other.wall_s
        self.errors += other.errors

    def told(self) -> dict[str, float]:
        """For the log."""
        return {
            "requests": len(self.each_s), "errors": self.errors, "per_s": round(len(self.each_s) / self.wall_s, 1),
            "p50_ms": round(self.at(0.5), 2), "p99_ms": round(self.at(0.99), 2), "max_ms": round(self.at(1.0), 2),
        }  # fmt: skip


class Client:
    """A connection to a server of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def open(self) -> Client:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        return self

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        at = head.lower().index(b"content-length:") + 15
        body = await self._reader.readexactly(int(head[at : head.index(b"\r", at)]))
        return int(head[9:12]), body

    async def lines(self, request: bytes, hear: Callable[[str], None]) -> None:
        """Pass on the lines of an answer that does not end."""
        self._writer.write(request)
        while line := await self._reader.readline():
            hear(line.decode().rstrip())

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def request(method: str, path: str, token: str, content: Any = None) -> bytes:
    """A request as it goes over the wire."""
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{kind}\r\n".encode() + body


async def poll(port: int, asked: bytes, clients: int, lasts_s: float, pause_s: float = 0.0) -> Times:
    """So many clients, each asking again when it is answered, or every `pause_s` seconds."""
    found, over = Times(), time.perf_counter() + lasts_s

    async def one(place: int) -> None:
        client = await Client(port).open()
        await asyncio.sleep(pause_s * place / clients)
        due = time.perf_counter()
        while (began := time.perf_counter()) < over:
            status, _ = await client.ask(asked)
            found.each_s.append(time.perf_counter() - began)
            found.errors += status >= 400
            due += pause_s
            if (wait_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
        client.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(place) for place in range(clients)))
    found.wall_s = time.perf_counter() - began
    return found


async def watch(port: int, asked: bytes, watchers: int, tell: Callable[[int], float], marks: int) -> Times:
    """From the moment when `tell` has changed the database, which it gives, until each watcher hears of it."""
    told: dict[str, float] = {}
    found = Times()
    heard: dict[str, int] = {}

    def hear(line: str) -> None:
        if line.startswith("data: ") and "mark" in line:
            mark = str(json.loads(line[6:])["line"])
            if mark in told:
                found.each_s.append(time.time() - told[mark])
                heard[mark] = heard.get(mark, 0) + 1

    clients = [await Client(port).open() for _ in range(watchers)]
    tasks = [asyncio.create_task(client.lines(asked, hear)) for client in clients]
    await asyncio.sleep(2)
    began = time.perf_counter()
    for place in range(marks):
        told[f"mark {place}"] = await asyncio.to_thread(tell, place)
        await asyncio.sleep(1.3)
    await asyncio.sleep(2)
    found.wall_s = time.perf_counter() - began
    found.errors = sum(watchers - heard.get(mark, 0) for mark in told)
    for task, client in zip(tasks, clients, strict=True):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        client.close()
    return found
