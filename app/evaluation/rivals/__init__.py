"""What is visible of a log -> the best posts by somebody else's method, for comparison."""
