"""What the report says, found out at the end of a run; drawing it is the business of the pages."""
