"""The rerank service: a gateway process and worker processes. Imports no other folder of ours."""
