"""Runs: from the line to the process that does the work, and what it says meanwhile."""
