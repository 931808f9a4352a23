"""One file each: what happens to a request on its way out and to the response on its way back."""
