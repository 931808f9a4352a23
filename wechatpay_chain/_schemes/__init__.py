"""What is signed and encrypted, and how it is written."""
