"""Joining a cluster whose head listens but does not serve yet."""

from __future__ import annotations

import pytest

from cluster import reach


def test_a_head_that_falls_over_once_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PAUSE_S", 0.0)
    asked: list[int] = []

    def connect() -> None:
        asked.append(len(asked))
        if len(asked) < 3:
            raise ConnectionAbortedError("the server fell")

    reach.join(connect, times=4)
    assert asked == [0, 1, 2]


def test_a_head_that_never_serves_is_told_as_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PAUSE_S", 0.0)
    asked: list[int] = []

    def connect() -> None:
        asked.append(len(asked))
        raise ConnectionAbortedError("the server fell")

    with pytest.raises(ConnectionAbortedError, match="the server fell"):
        reach.join(connect, times=3)
    assert len(asked) == 3
