// Slide.LabelURL, for many slides in one call. Each slide sends no more than the function reads: a page has hundreds, and
// a call to Lambda at most 6 MB.
// Source: "Batching" in "Resolver reference for Lambda" (JavaScript), AppSync developer guide.
import { util } from '@aws-appsync/utils';

/** One event of the batch. */
export function request(ctx) {
  return {
    operation: 'BatchInvoke',
    payload: {
      arguments: {},
      identity: ctx.identity,
      source: { ImageID: ctx.source.ImageID },
      request: { headers: {}, domainName: null },
      prev: null,
      stash: {},
      info: {
        fieldName: ctx.info.fieldName,
        parentTypeName: ctx.info.parentTypeName,
        variables: {},
        selectionSetList: [],
        selectionSetGraphQL: '',
      },
    },
  };
}

/**
 * This slide's address, or null where the answer is published to subscribers, not all of whom may see labels.
 * The function fails for a whole batch or not at all: then each of them says why.
 */
export function response(ctx) {
  if (!ctx.error) {
    return ctx.source.isPublished ? null : ctx.result;
  }
  const message = ctx.error.message ?? '';
  const end = message.indexOf(': ');
  const known = ['BAD_REQUEST', 'Unauthorized', 'NOT_FOUND', 'CONFLICT', 'UNREADABLE', 'UNAVAILABLE', 'INTERNAL'];
  if (end > 0 && known.includes(message.slice(0, end))) {
    util.error(message.slice(end + 2), message.slice(0, end));
  }
  util.error('The request could not be carried out now: try again in a minute.', 'UNAVAILABLE');
}
