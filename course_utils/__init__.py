"""The final, reusable implementations behind the U-Net course: import the module that holds what you need.

No imports form a circle, which a test proves. Roughly they go from arithmetic, hooks and layers to upsampling, encoders
and networks, then to data, metrics, losses and training: that is the library. On it stand `experiments` (what the
notebooks compare, and how they record it), the commands, and `plots`, which draws. Nothing imports `widgets` and
`exercises`. No notebook builds what makes the library fast, safe to interrupt and ready for several GPUs.
"""
