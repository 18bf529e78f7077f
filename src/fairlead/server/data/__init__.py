"""Datastores (where data lies), data sets (what is read there), and what batch jobs are told of both."""
