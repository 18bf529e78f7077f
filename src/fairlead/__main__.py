"""`python -m fairlead` is `fairlead`."""

from fairlead.cli import main

main()
