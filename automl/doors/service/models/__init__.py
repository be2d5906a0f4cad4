"""Models of finished runs: found, described, loaded, selected anew, taken home."""
