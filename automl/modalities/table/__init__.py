"""Tables: reading files, finding what each column holds, turning rows into numbers."""
