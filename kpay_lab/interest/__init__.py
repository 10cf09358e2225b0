"""From tables to the interest matrix, and the documents' formulas."""
