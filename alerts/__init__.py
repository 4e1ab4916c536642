"""From a transition to a message that a person on call can act on. Imports none of ours."""
