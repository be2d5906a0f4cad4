"""Families that learn from a table without a network: linear, neighbours, forests, boosted trees and the yardstick.

One file per family. Files that begin with an underscore are what the families share: arrays in, arrays out.
"""
