"""Real clients of the kernel: JupyterLab, command lines, the JavaScript library."""
