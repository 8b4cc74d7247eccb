"""Tests of the subject that the folder is named for, through the API."""
