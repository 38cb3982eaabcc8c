"""HTML pages for people: one file per noun, with templates, styles and live updates."""
