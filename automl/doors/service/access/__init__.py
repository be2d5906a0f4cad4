"""Who asks, whether they may, and what they did."""
