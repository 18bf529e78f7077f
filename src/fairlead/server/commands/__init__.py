"""What `python -m fairlead.server NAME` does: one module per name, with `add_arguments(parser)` and `run(settings, told)`.

All but `serve` answer with one JSON object on standard output, and say on standard error what goes on: `fairlead server` is their face for people.
"""
