"""`python -m borne` is the same program as `borne`."""

from borne.cli import main

if __name__ == "__main__":
    main()
