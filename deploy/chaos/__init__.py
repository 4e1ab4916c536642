"""One fault, injected into the running local stack on purpose, and what came of it."""
