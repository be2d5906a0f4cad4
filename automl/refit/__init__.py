"""From candidates to the model that is returned: chosen, fitted on all rows where that pays, measured."""
