"""``python -m facestream``."""

from facestream.cli import main

if __name__ == "__main__":
    main()
