"""Where code runs: one protocol for pools of workers, and the pools that keep it.

`pool` holds the protocol and its nouns, `local` the processes of this machine, `contracts` what every pool must keep.
Importing this package loads nothing; it knows neither models nor search.
"""
