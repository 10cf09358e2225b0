"""The process in which a notebook's cells run: ``python -m kpay_lab.report.kernel FOLDER``.

It is IPython's kernel, in the notebook's folder, with two differences. It keeps whatever is
printed until it was read, and pictures do not depend on the user's ``matplotlibrc``.
"""

import os
import sys

import matplotlib
import zmq
from ipykernel.kernelapp import IPKernelApp


class PatientKernel(IPKernelApp):
    """A kernel that never drops output: zmq's sender does so beyond a limit, without a word."""

    def init_iopub(self, context: zmq.Context) -> None:
        """Open the channel of outputs without a limit on what waits to be sent."""
        context.sndhwm = 0
        super().init_iopub(context)


def main() -> None:
    """Start the kernel in the folder that the first argument names."""
    folder = sys.argv.pop(1)
    os.chdir(folder)
    matplotlib.rcdefaults()
    PatientKernel.launch_instance()


if __name__ == "__main__":
    main()
