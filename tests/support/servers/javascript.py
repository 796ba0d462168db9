"""JavaScript of the stacks, run by Node: AppSync's resolvers and CloudFront's functions."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")

# The part of @aws-appsync/utils that our resolvers use: both functions end the resolver.
UTILS = """
class Refused extends Error {
  constructor(message, type) { super(message); this.type = type; }
}
export const util = {
  error: (message, type) => { throw new Refused(message, type); },
  unauthorized: () => { throw new Refused('Not Authorized to access it', 'Unauthorized'); },
};
"""
RUN = """
import { readFileSync } from 'node:fs';
import * as code from './code.mjs';
const answers = JSON.parse(readFileSync(0, 'utf8')).map(([name, given]) => {
  try {
    return { value: code[name](given) ?? null };
  } catch (error) {
    if (!error.type) throw error;
    return { error: error.message, errorType: error.type };
  }
});
process.stdout.write(JSON.stringify(answers));
"""


def run(code: str, folder: Path, *calls: tuple[str, Any]) -> list[dict[str, Any]]:
    """Call functions that ``code`` exports; return each one's ``value``, or its ``error`` and ``errorType``."""
    library = folder / "node_modules/@aws-appsync/utils"
    library.mkdir(parents=True, exist_ok=True)
    (library / "package.json").write_text('{"type": "module", "exports": "./index.js"}')
    (library / "index.js").write_text(UTILS)
    (folder / "code.mjs").write_text(code)
    (folder / "run.mjs").write_text(RUN)
    done = subprocess.run(
        ["node", folder / "run.mjs"],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
