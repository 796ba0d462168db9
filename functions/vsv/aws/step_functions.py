"""Start of imports as executions of the Step Functions state machine."""

import hashlib
import json
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.errors import UnavailableError
from vsv.records.models import ImportRecord

# One start takes 15 s at most: a batch of the stream's records has to end in time.
CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "max_attempts": 2})


class StateMachine:
    """Starts one Step Functions execution for one file version; idempotent.

    The execution's name is derived from the run's ID, so that Step Functions itself refuses a second execution.
    """

    def __init__(self, arn: str, client: Any = None) -> None:
        self.arn = arn
        self.client = client or boto3.client("stepfunctions", config=CONFIG)

    def start(self, run: ImportRecord) -> None:
        """Start the run's execution unless it was started before; raise UnavailableError where the call fails."""
        event = {"filename": run.filename, "size": run.size, "runId": run.run_id, "source": run.source}
        name = hashlib.sha256(run.run_id.encode()).hexdigest()[:64]
        try:
            self.client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(event))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
                raise UnavailableError("the import could not be started now") from error
        except BotoCoreError as error:
            raise UnavailableError("the import could not be started now") from error
