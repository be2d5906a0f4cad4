"""Images and sounds: folders of files, decoded once into stores, and what can be said of their rows."""
