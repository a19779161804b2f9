"""Operators as they are recorded: what each one is, costs, keeps, and sees of the input."""
