"""Resolve the fields about jobs: requests by Admins in a slide's life cycle, and the results of jobs."""

from typing import Any

from aws_lambda_powertools.event_handler.graphql_appsync.router import Router
from vsv.errors import InvalidQueryError, NotFoundError
from vsv.lifecycle import requests
from vsv.records.models import JobState
from vsv.runtime import current
from vsv.workflow import job_queue

from review_slides import arguments, identity, serializers
from review_slides.serializers import Fields

router = Router()


@router.resolver(type_name="Mutation", field_name="publishSlide")
def publish_slide(**args: Any) -> Fields:
    """Request a copy without patient data."""
    decider, image_id = identity.admin().decider, arguments.image_id(args)
    return serializers.job(requests.publish(current(), image_id, args.get("name"), decider))


@router.resolver(type_name="Mutation", field_name="withdrawSlide")
def withdraw_slide(**args: Any) -> Fields:
    """Request the removal of the published copy."""
    decider, image_id = identity.admin().decider, arguments.image_id(args)
    return serializers.job(requests.withdraw(current(), image_id, decider))


@router.resolver(type_name="Mutation", field_name="archiveSlide")
def archive_slide(**args: Any) -> Fields:
    """Request that the original is moved to the archive."""
    decider, image_id = identity.admin().decider, arguments.image_id(args)
    return serializers.job(requests.archive(current(), image_id, decider))


@router.resolver(type_name="Mutation", field_name="restoreSlide")
def restore_slide(**args: Any) -> Fields:
    """Request that the original is brought back from the archive."""
    decider, image_id = identity.admin().decider, arguments.image_id(args)
    return serializers.job(requests.restore(current(), image_id, decider))


@router.resolver(type_name="Mutation", field_name="purgeSlide")
def purge_slide(**args: Any) -> Fields:
    """Request that a deleted slide's files are removed now."""
    decider, image_id = identity.admin().decider, arguments.image_id(args)
    return serializers.job(requests.purge(current(), image_id, args.get("confirm"), decider))


@router.resolver(type_name="Mutation", field_name="dismissJob")
def dismiss_job(**args: Any) -> Fields:
    """Take a failed job off the list of failed jobs."""
    decider, image_id = identity.writer().decider, arguments.image_id(args)
    return serializers.job(requests.dismiss(current(), image_id, arguments.job_kind(args), decider))


@router.resolver(type_name="Mutation", field_name="reportJobUpdate")
def report_job_update(**args: Any) -> Fields:
    """Pass a job on to subscribers, as it is stored now."""
    identity.system()
    job = current().jobs.get(arguments.image_id(args), arguments.job_kind(args))
    if job is None:
        raise NotFoundError("There is no such job of this slide.")
    return serializers.job(job)


@router.resolver(type_name="Query", field_name="slideJobs")
def slide_jobs(**args: Any) -> list[Fields]:
    """Return the latest job of each kind for a slide."""
    identity.writer()
    return [serializers.job(job) for job in job_queue.slide_jobs(current(), arguments.image_id(args))]


@router.resolver(type_name="Query", field_name="listJobs")
def list_jobs(**args: Any) -> Fields:
    """Return a page of the jobs in one state."""
    identity.writer()
    state = args.get("state") or JobState.WAITING
    if state not in list(JobState):
        raise InvalidQueryError(f"state must be one of {', '.join(JobState)}.")
    page = current().jobs.by_state(JobState(state), arguments.limit(args), arguments.token(args))
    return serializers.connection(page, serializers.job)
