"""Record the answers of the code on the path: ``python -m tests.recorded.record [set …]``.

To record the code before a change, run this in a checkout of that code, with its own interpreter, and with a folder
on ``PYTHONPATH`` that holds a link to this checkout's ``tests``: the helpers are that code's, the requests these.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.recorded.asking import names, replayed
from tests.recorded.fixed_data import HERE


def main(chosen: list[str]) -> None:
    """Record some sets of requests, or all."""
    for name in chosen or names():
        with TemporaryDirectory() as folder:
            answers = replayed(name, Path(folder))
        path = HERE / "answers" / f"{name}.json"
        lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        print(f"{name}: {len(answers)} answers")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
