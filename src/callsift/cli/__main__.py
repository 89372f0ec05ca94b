"""`python -m callsift.cli`: the command line without an installed script."""

from callsift.cli import main

if __name__ == "__main__":
    main()
