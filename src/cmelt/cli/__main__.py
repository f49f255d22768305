"""`python -m cmelt.cli`: the command without an installed script."""

from cmelt.cli import main

if __name__ == "__main__":
    main()
