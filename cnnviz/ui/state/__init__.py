"""What the app remembers and where: the URL, links, background work, memory."""
