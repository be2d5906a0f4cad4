"""What a form of a page sends: names and texts, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from automl.doors.service.ground.problems import Problem

KIND = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class SentForm:
    """The fields of a form as they came."""

    fields: dict[str, list[str]]

    def text(self, name: str, otherwise: str = "") -> str:
        """What was typed, without the space around it."""
        return self.fields.get(name, [otherwise])[0].strip()

    def exact(self, name: str) -> str | None:
        """What was typed, letter by letter; None where there is no such field."""
        return self.fields[name][0] if name in self.fields else None

    def or_none(self, name: str) -> str | None:
        """What was typed; None where that is nothing."""
        return self.text(name) or None


async def _read(request: Request) -> SentForm:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and kind != KIND:
        raise Problem(415, f"a page's form comes as {KIND}, got {kind[:60] or 'no content type'}. Programs use /v1/.")
    return SentForm(parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=5000))


Sent = Annotated[SentForm, Depends(_read)]
