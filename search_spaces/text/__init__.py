"""Texts as numbers without a network: which terms there are, and how much each weighs."""
