"""Which families take part, how the budget is split between routes, and what that cost: pure functions on records."""
