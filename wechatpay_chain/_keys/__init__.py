"""Keys: loading them, finding them, signing and verifying with them."""
