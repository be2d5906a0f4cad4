"""Pictures: decoding, what they are described by, vocabularies of patches."""
