"""Reading many answers at once: an index of each batch's answers, tables of it, and comparisons."""
