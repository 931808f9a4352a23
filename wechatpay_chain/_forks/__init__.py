"""Makes the package safe to fork: state that a child must not inherit, and moments at which no fork may happen."""
