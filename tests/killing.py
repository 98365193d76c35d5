"""What a program runs first in order to be killed between the two renames that exchange folders."""

BETWEEN_THE_RENAMES = (
    "import os, signal\n"
    "original = os.replace\n"
    "def killed(first, second):\n"
    "    original(first, second)\n"
    "    if str(second).endswith('previous'):\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "os.replace = killed\n"
)
