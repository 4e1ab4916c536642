"""Several hosts with Ray Serve: our gateway as its ingress, our engine as its deployment."""
