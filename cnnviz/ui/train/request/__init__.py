"""The form of new runs on the page Train: what is asked for, and what it will cost."""
