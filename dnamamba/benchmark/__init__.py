"""Tasks with labels, and what models make of them beside the columns that any model must beat."""
