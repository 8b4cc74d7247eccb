"""Programs for working on CommandCenter; the product itself uses none of them."""
