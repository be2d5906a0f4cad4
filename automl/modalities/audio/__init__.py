"""Sounds: decoding, and the spectra that they are described by."""
