"""What is stored: migrations, and the wall between projects."""
