"""Photo files: their headers, their pixels, and samples that are wider than 8 bits."""
