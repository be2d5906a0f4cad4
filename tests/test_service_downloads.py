"""What the server sends out as CSV: nothing in it is a formula, and all of it is still there."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.doors.service.ground.downloads import SIGNS, as_attachment, safe_cell, safe_csv


@pytest.mark.parametrize("sign", sorted(SIGNS))
def test_a_cell_that_a_spreadsheet_would_compute_is_text(sign: str) -> None:
    """OWASP's signs, the wide ones too, in cells and in names of columns."""
    hostile = f"{sign}HYPERLINK(1)"
    written = safe_csv(pd.DataFrame({hostile: [hostile, "plain"]}))
    assert list(csv.reader(io.StringIO(written, newline=""))) == [[f"'{hostile}"], [f"'{hostile}"], ["plain"]]


def test_numbers_stay_numbers() -> None:
    """Negative ones too, whether they are numbers or texts that spell one, as labels do."""
    written = safe_csv(pd.DataFrame({"x": [-1.5, 2.0], "label": ["-1", "+1"], "n": pd.array([-3, None], "Int64")}))
    assert written == "x,label,n\r\n-1.5,-1,-3\r\n2.0,+1,\r\n"


def test_categories_and_mixed_cells_are_seen_too() -> None:
    """Whatever a column is stored as, what is written is what counts."""
    frame = pd.DataFrame({"c": pd.Categorical(["=a", "b"]), "o": [["=x"], None], "d": pd.to_timedelta([-1, 1], "D")})
    rows = list(csv.DictReader(io.StringIO(safe_csv(frame), newline="")))
    assert [row["c"] for row in rows] == ["'=a", "b"]
    assert [row["o"] for row in rows] == ["['=x']", ""]
    assert rows[0]["d"].startswith("'-1 days")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_no_cell_reads_back_as_a_formula_and_none_is_lost(cells: list[tuple[str, str]]) -> None:
    """Whatever the cells hold: quotes, ends of lines, commas."""
    frame = pd.DataFrame(cells, columns=["a", "b"])
    read = list(csv.reader(io.StringIO(safe_csv(frame), newline="")))[1:]
    assert read == [[safe_cell(a), safe_cell(b)] for a, b in cells]
    assert all(cell[:1] not in SIGNS or float(cell) is not None for row in read for cell in row if cell)


def test_a_name_cannot_break_out_of_its_header() -> None:
    """Quotes, ends of lines and letters of any script."""
    header = as_attachment('a"\r\nSet-Cookie: x=é.csv')["content-disposition"]
    assert header.isascii()
    assert not {"\r", "\n"} & set(header)
    assert header.startswith("attachment; filename=\"a___Set-Cookie_ x__.csv\"; filename*=UTF-8''a%22%0D%0A")
