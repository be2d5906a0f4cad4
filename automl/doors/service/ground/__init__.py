"""What all rooms of the server stand on: its settings, its records, its refusals."""
