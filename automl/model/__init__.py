"""A trained model: in memory, on disk, several in one folder, scored on rows with answers."""
