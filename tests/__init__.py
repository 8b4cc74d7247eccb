"""By promise and by subject, through the public interfaces, on the real stack."""
