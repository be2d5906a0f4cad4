"""Series over time, one value a step: when steps follow one another, which belong together, what is foretold when."""
