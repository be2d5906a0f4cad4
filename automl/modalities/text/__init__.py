"""Free text: which columns hold it, what is counted of it, what its terms say, which texts are nearly the same."""
