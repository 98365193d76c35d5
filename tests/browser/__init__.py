"""Notebooks in a real JupyterLab in a real Chromium: what no kernel-only test can see."""
