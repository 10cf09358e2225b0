"""Who the customers are, where they are lost, and who will buy."""
