"""Starting imports as executions of the import state machine."""

import hashlib
import json
from collections.abc import Collection
from typing import Any

from vsv.errors import UnavailableError
from vsv.records import ImportRecord


class StateMachine:
    """Starts one Step Functions execution for one file version, however often it is asked.

    The execution's name is made of the run's ID, so that Step Functions itself refuses a second one.
    """

    def __init__(self, arn: str, client: Any = None) -> None:
        import boto3  # noqa: PLC0415  cold start: only functions that start imports need it

        self.arn = arn
        self.client = client or boto3.client("stepfunctions")

    def describe_source(self, filename: str, size: int) -> str | None:  # noqa: ARG002
        """Give None: the scanner's share cannot be seen from a function."""
        return None

    def new_source(
        self,
        filename: str,  # noqa: ARG002
        size: int,  # noqa: ARG002
        known: Collection[str],  # noqa: ARG002
        run: ImportRecord | None,  # noqa: ARG002
    ) -> str | None:
        """Give None: the scanner's share cannot be seen from a function."""
        return None

    def start(self, run: ImportRecord) -> None:
        """Start the run's execution; raises UnavailableError when Step Functions does not answer."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  with boto3

        event = {"filename": run.filename, "size": run.size, "runId": run.run_id}
        name = hashlib.sha256(run.run_id.encode()).hexdigest()[:64]
        try:
            self.client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(event))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
                raise UnavailableError("the import could not be started now") from error
        except BotoCoreError as error:
            raise UnavailableError("the import could not be started now") from error
