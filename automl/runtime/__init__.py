"""What a run stands on: its clock, journal, folder, workers and price, and how it is resumed or interrupted."""
