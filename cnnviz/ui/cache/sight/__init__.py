"""What is kept of what a network sees: scans, photos, filters, experiments, epochs."""
