"""From what the user brought to what every trial reads."""
