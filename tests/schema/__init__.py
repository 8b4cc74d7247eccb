"""The printed schema is the code's, is described, and breaks nobody."""
