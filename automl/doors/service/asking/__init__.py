"""What is asked of a model with rows, and how it is answered."""
