"""How the app looks: theme, glyphs, number formats, words, the parts of a page."""
