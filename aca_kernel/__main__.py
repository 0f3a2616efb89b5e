"""`python -m aca_kernel -f connection.json`: what the kernelspec runs."""

from .app import main

if __name__ == "__main__":
    main()
