"""One run in a process: prepare it, train it, keep its epochs, write its card."""
