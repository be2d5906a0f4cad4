"""Which families take part and how the budget is split between the routes: pure functions on records."""
