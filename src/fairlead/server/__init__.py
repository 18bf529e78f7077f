"""The control plane: what is registered and wanted, and the loop that makes it so. Started as `python -m fairlead.server`."""
