"""Which runs there are, and how they are done: side by side, once each."""
