"""From a transition to a message that a person on call can act on. A library: imports none of ours."""
