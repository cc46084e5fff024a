"""What the star import costs over `import torch, torchvision`: seconds, each in a fresh interpreter.

Modules are read from Python's bytecode files, as those of an installed package are (the first round writes them), even
where the environment forbids to write any.
"""

import argparse
import os
import subprocess
import sys
from statistics import median

from rounds import print_table

CONTENDERS = {"laminar": "laminar.vision.all", "fastai": "fastai.vision.all"}
PROGRAM = """
from time import perf_counter
start = perf_counter()
import torch, torchvision
middle = perf_counter()
from {module} import *
print(middle - start, perf_counter() - middle)
"""


def import_seconds(module: str) -> tuple[float, float]:
    """Seconds for torch with torchvision, and for everything that `module` adds."""
    program = PROGRAM.format(module=module)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    torch_seconds, added = done.stdout.split()
    return float(torch_seconds), float(added)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    args = parser.parse_args()

    torch_seconds: list[float] = []
    added: dict[str, list[float]] = {name: [] for name in args.only}
    for number in range(-1, args.rounds):  # the first round writes bytecode and fills the page cache: it does not count
        for name in args.only:
            base, more = import_seconds(CONTENDERS[name])
            if number >= 0:
                torch_seconds.append(base)
                added[name].append(more)

    rows = [["import torch, torchvision", f"{median(torch_seconds):.2f}", ""]] + [
        [f"from {CONTENDERS[name]} import *", f"+{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}"]
        for name, times in added.items()
    ]
    print_table(f"Import: median of {args.rounds} fresh interpreters", ["", "seconds", "rounds"], rows)


if __name__ == "__main__":
    main()
