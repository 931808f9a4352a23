"""Bills: their columns, how their lines are read, and how they are compared with a shop's own orders."""
