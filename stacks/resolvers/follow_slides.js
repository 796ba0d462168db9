// Who may follow changes of slides: this runs once, when somebody subscribes to onUpdateSlide. The schema asks for a token
// of the pool only, and a token without a group, such as a scanner's, must follow nothing.
import { util } from '@aws-appsync/utils';

/** Refuse, or let through. */
export function request(ctx) {
  const groups = ctx.identity.groups ?? [];
  if (!groups.includes('Technicians') && !groups.includes('Pathologists') && !groups.includes('Admins')) {
    util.unauthorized();
  }
  return { payload: null };
}

/** Nothing: the first answer comes with the first change. */
export function response(ctx) {
  return null;
}
