"""Calls to AWS, recorded while code runs, as the rights that a policy must allow: an action on a resource.

Sources: "Actions, resources, and condition keys" of each service, Service authorization reference; "Using IAM with
DynamoDB transactions", Amazon DynamoDB developer guide.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from graphql import FieldNode, OperationDefinitionNode, parse

from tests.support.aws.cloudformation import ACCOUNT, arn


class Right(NamedTuple):
    """An action that must be allowed on a resource."""

    action: str
    resource: str


Parameters = Mapping[str, Any]
Answers = Mapping[str, Callable[[Parameters], Any]]

# A transaction is allowed by the rights of its parts.
_IN_A_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "Put": "PutItem",
    "Update": "UpdateItem",
}


def rights_of(service: str, operation: str, parameters: Parameters) -> Iterator[Right]:
    """Yield the rights that a call needs; raise NotImplementedError if the call is not known here yet."""
    known = _SERVICES.get(service)
    if known is None:
        raise NotImplementedError(
            f"{service}:{operation}: tell tests/support/aws/recorded_calls.py which rights it needs"
        )
    yield from known(operation, parameters)


def _dynamodb(operation: str, parameters: Parameters) -> Iterator[Right]:
    if operation in {"TransactWriteItems", "TransactGetItems"}:
        for item in parameters["TransactItems"]:
            ((kind, part),) = item.items()
            yield Right(f"dynamodb:{_IN_A_TRANSACTION[kind]}", arn("dynamodb", f"table/{part['TableName']}"))
    elif operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in parameters["RequestItems"]:
            yield Right(f"dynamodb:{operation}", arn("dynamodb", f"table/{table}"))
    else:
        index = f"/index/{parameters['IndexName']}" if "IndexName" in parameters else ""
        yield Right(f"dynamodb:{operation}", arn("dynamodb", f"table/{parameters['TableName']}{index}"))


# Operations whose name differs from that of the right that they need.
_S3 = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadObject": "GetObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "UploadPart": "PutObject",
}
_S3_OBJECTS = {
    *("AbortMultipartUpload", "DeleteObject", "GetObject", "ListMultipartUploadParts"),
    *("PutObject", "PutObjectTagging", "RestoreObject"),
}


def _s3(operation: str, parameters: Parameters) -> Iterator[Right]:
    action, bucket = _S3.get(operation, operation), f"arn:aws:s3:::{parameters['Bucket']}"
    if action == "ListBucketMultipartUploads":
        yield Right(f"s3:{action}", bucket)
        return
    if action not in _S3_OBJECTS:
        raise NotImplementedError(
            f"s3:{operation}: tell tests/support/aws/recorded_calls.py which rights it needs"
        )
    if "VersionId" in parameters:
        action = "PutObjectVersionTagging" if action == "PutObjectTagging" else f"{action}Version"
    yield Right(f"s3:{action}", f"{bucket}/{parameters['Key']}")


def _rights_to_be_told(service: str, parameters: Parameters, error: ClientError) -> Iterator[Right]:
    """Yield the rights without which S3 answers 403, not 404, for a missing object ("HeadObject")."""
    if service == "s3" and error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
        yield Right("s3:ListBucket", f"arn:aws:s3:::{parameters['Bucket']}")


def _cloudfront(operation: str, parameters: Parameters) -> Iterator[Right]:
    distribution = f"arn:aws:cloudfront::{ACCOUNT}:distribution/{parameters['DistributionId']}"
    yield Right(f"cloudfront:{operation}", distribution)


def _on(service: str, *names: str) -> Callable[[str, Parameters], Iterator[Right]]:
    """Return a function that yields the rights of a service whose calls have the resource's ARN in a parameter."""

    def rights(operation: str, parameters: Parameters) -> Iterator[Right]:
        yield Right(f"{service}:{operation}", next(parameters[name] for name in names if name in parameters))

    return rights


_SERVICES: Mapping[str, Callable[[str, Parameters], Iterator[Right]]] = {
    "cloudfront": _cloudfront,
    "datasync": _on("datasync", "TaskExecutionArn", "TaskArn"),
    "dynamodb": _dynamodb,
    "s3": _s3,
    "secretsmanager": _on("secretsmanager", "SecretId"),
    "stepfunctions": _on("states", "executionArn", "stateMachineArn"),
}


def _graphql(request: AWSRequest) -> Iterator[Right]:
    """Yield the rights for a signed GraphQL request; the first part of the host is the ID of the tests' API."""
    document = parse(json.loads(request.data)["query"])
    api = urlsplit(request.url).netloc.partition(".")[0]
    for operation in document.definitions:
        assert isinstance(operation, OperationDefinitionNode)
        kind = operation.operation.value.capitalize()
        for field in operation.selection_set.selections:
            assert isinstance(field, FieldNode)
            yield Right(
                "appsync:GraphQL", arn("appsync", f"apis/{api}/types/{kind}/fields/{field.name.value}")
            )


@contextmanager
def recording(answers: Answers) -> Iterator[set[Right]]:
    """Collect the rights that the code in a block needs. ``answers``, by ``service:Operation``, stand in for moto."""
    needed: set[Right] = set()
    call, sign = BaseClient._make_api_call, SigV4Auth.add_auth

    def make_api_call(client: Any, operation: str, parameters: Parameters) -> Any:
        service = client.meta.service_model.service_name
        needed.update(rights_of(service, operation, parameters))
        stands_in = answers.get(f"{service}:{operation}")
        try:
            return stands_in(parameters) if stands_in else call(client, operation, parameters)
        except ClientError as error:
            needed.update(_rights_to_be_told(service, parameters, error))
            raise

    def add_auth(signer: Any, request: AWSRequest) -> Any:
        if signer._service_name == "appsync":
            needed.update(_graphql(request))
        return sign(signer, request)

    with (
        patch.object(BaseClient, "_make_api_call", make_api_call),
        patch.object(SigV4Auth, "add_auth", add_auth),
    ):
        yield needed
