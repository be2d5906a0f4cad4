"""Series that are rows: measured step by step, each with one answer."""
