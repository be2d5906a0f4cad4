"""Parquet of strangers, written anew without compression, before the server itself reads it.

A file of a hundred kilobytes may say of itself that it holds gigabytes, and be right. This works in the process that
looks at data (looker.py): what comes out is as long as what it holds, and no longer than allowed.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from automl.doors.service.data.unpacking import TooLargeError
from automl.errors import InputError
from automl.messages import one_line, shown

BATCH = 100  # rows: one cell that all of them repeat may be a megabyte


def plain(order: Mapping[str, Any]) -> dict[str, Any]:
    """Write the table of the file `given` into the file `place`; how many rows it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(order["given"]) as file:
            _check(file, order["most_rows"], order["most_cells"])
            with pq.ParquetWriter(order["place"], file.schema_arrow, compression="none", use_dictionary=False) as out:
                for batch in file.iter_batches(batch_size=BATCH, use_threads=False):
                    out.write_batch(batch)
            return {"rows": file.metadata.num_rows}
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise
        most = f"{order['most_bytes'] / 1e6:,.0f} MB"
        raise TooLargeError(f"this Parquet file unpacks to more than {most}. Send parts.") from None
    except pa.ArrowException as error:
        line = one_line(error)
        raise InputError(f"it is not a Parquet file that can be read: {line}. Write it again.") from error


def _check(file: Any, most_rows: int, most_cells: int) -> None:
    """Refuse by what it says of itself, and what may repeat without end."""
    import pyarrow as pa

    told = file.metadata
    if told.num_rows > most_rows:
        raise InputError(f"it has {told.num_rows:,} rows, at most {most_rows:,} are answered at once. Send parts.")
    if told.num_rows * told.num_columns > most_cells:
        raise InputError(f"it has more than {most_cells:,} cells. Send parts.")
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type) and not _is_flat(field.type):
            raise InputError(f"column {shown(field.name)} holds lists. Give one value for each row.")


def _is_flat(kind: Any) -> bool:
    """A struct of plain values, as of bytes and their path."""
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and not any(pa.types.is_nested(field.type) for field in kind)
