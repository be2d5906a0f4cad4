"""Shared ground of what is read from files: delimited tables, folders, decoded stores, copies that look alike."""
