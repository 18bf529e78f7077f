"""Compute pools: how many nodes batch jobs may take, on which engine; what they have now follows from the jobs that use them."""
