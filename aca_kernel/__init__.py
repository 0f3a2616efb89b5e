"""A Jupyter kernel whose cells run in an Azure Container Apps session environment."""

__version__ = "0.1.0"
