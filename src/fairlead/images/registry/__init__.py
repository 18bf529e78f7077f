"""Image registries over the OCI distribution protocol: pull, push, tags, referrers. No daemon; every byte that arrives is checked.

Contract: OCI distribution specification 1.1, and the token protocol of the CNCF's Distribution (docs/content/spec/auth there).
"""
