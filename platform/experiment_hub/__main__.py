"""Door of `hub` and of `python -m experiment_hub`."""

from experiment_hub.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
