"""The final, reusable implementations behind the U-Net course: import the module that holds what you need."""
