"""Networks: one file per family, shared modules in blocks.py.

A family's `build(params, shape)` returns a bare torch module; training, early stopping and the file format are
automl's, so that every network is trained by the same loop. torch is imported only when a network is built.
"""
