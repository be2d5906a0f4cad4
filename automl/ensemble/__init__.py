"""From trials to candidates: blends, calibration, and which of them no other one beats."""
