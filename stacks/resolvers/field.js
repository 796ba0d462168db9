// A field of Query or Mutation: asks the review function as a direct Lambda resolver would, and gives errors their type.
// Source: "Resolver context object reference" and "Supported runtime features" (APPSYNC_JS), AppSync developer guide.
import { util } from '@aws-appsync/utils';

/** The event of a direct resolver; of the request only what names its sender in a log. */
export function request(ctx) {
  const headers = ctx.request.headers ?? {};
  return {
    operation: 'Invoke',
    payload: {
      arguments: ctx.args,
      identity: ctx.identity,
      source: ctx.source ?? null,
      request: { headers: { host: headers.host, 'x-amzn-trace-id': headers['x-amzn-trace-id'] }, domainName: null },
      prev: null,
      stash: {},
      info: {
        fieldName: ctx.info.fieldName,
        parentTypeName: ctx.info.parentTypeName,
        variables: ctx.info.variables ?? {},
        selectionSetList: ctx.info.selectionSetList ?? [],
        selectionSetGraphQL: ctx.info.selectionSetGraphQL ?? '',
      },
    },
  };
}

/**
 * The field's value. The function raises "TYPE: sentence"; what it did not raise itself stays untold.
 * What AppSync publishes to all of onUpdateSlide's subscribers is marked, and label_url.js leaves the label's address out.
 */
export function response(ctx) {
  const published = ['updateSlide', 'assignSlide', 'reportSlideUpdate'];
  if (!ctx.error) {
    return ctx.result && published.includes(ctx.info.fieldName) ? { ...ctx.result, isPublished: true } : ctx.result;
  }
  const message = ctx.error.message ?? '';
  const end = message.indexOf(': ');
  const known = ['BAD_REQUEST', 'Unauthorized', 'NOT_FOUND', 'CONFLICT', 'UNREADABLE', 'UNAVAILABLE', 'INTERNAL'];
  if (end > 0 && known.includes(message.slice(0, end))) {
    util.error(message.slice(end + 2), message.slice(0, end));
  }
  util.error('The request could not be carried out now: try again in a minute.', 'UNAVAILABLE');
}
