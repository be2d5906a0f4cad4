"""The ways in: Python, the command line, scikit-learn, the doctor."""
