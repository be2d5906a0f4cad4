"""Data that strangers bring: received, unpacked, looked at by a process of its own, kept."""
