"""Networks on texts: how texts become tokens, and what reads these.

Texts come as arrays of str; each network splits them itself, so that a saved one brings along all that it needs.
"""
