"""Tables, where they come from, and what protects the people in them."""
