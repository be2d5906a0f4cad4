"""What goes over the wire, declared: OpenAPI, its examples and the check of what comes in are made from these."""
