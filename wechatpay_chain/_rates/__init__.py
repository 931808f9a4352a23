"""Rate limits: what the service documents, and how calls wait for their turn."""
