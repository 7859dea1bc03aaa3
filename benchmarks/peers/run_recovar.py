"""Run a command of recovar's with its CPU back-projection corrected. Run by recovar's Python, not by ours.

    ENVIRONMENT/bin/python run_recovar.py pipeline particles.star --mask mask.mrc --accept-cpu -o OUT ...

The CPU kernel of recovar 1.0.5 places images on a grid twice as fine as if it were as fine as theirs, so that means
and states come out magnified by two (its CUDA kernel does not, and ``ask_recovar.py`` shows it). Here positions are
multiplied by the ratio of the grids before the kernel sees them; nothing else is changed. --as-it-is leaves that out.
"""

import sys

from recovar.command_line import main_commands
from recovar.core import relion_interp

_original = relion_interp.backproject


def backproject(imgs, rotations, image_shape, volume_shape, max_r=None, **others):
    ratio = volume_shape[0] // image_shape[0]
    reach = None if max_r is None else max_r * ratio
    return _original(imgs, rotations * ratio, image_shape, volume_shape, max_r=reach, **others)


if __name__ == "__main__":
    if "--as-it-is" in sys.argv:
        sys.argv.remove("--as-it-is")
    else:
        relion_interp.backproject = backproject
    main_commands()
