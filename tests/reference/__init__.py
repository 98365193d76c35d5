"""What other libraries compute, recorded once, so that the tests can compare without installing them."""
