"""Figures, never assertions: what the product costs against the bare thing under it. See README.md."""
