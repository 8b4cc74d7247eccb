"""What the documentation says is what the product does."""
