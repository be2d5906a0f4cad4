"""How good a model is: metrics, losses, which rows are held out, what a score promises, calibration applied."""
