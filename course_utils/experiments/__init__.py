"""What notebooks, widgets and commands share to make and keep their experiments; the library needs none of it."""
