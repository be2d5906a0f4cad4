"""What a row can be made of. Each kind of data has a folder that reads, describes and encodes it."""
