"""The search: which trial next, on which fold, until when. Optuna is imported only in sample.py."""
