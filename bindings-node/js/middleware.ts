/** `gatewright/middleware`: says of each request what the table decides, and does nothing else. */
import type { IncomingMessage } from "node:http";
import type { Decision } from "./decision.js";
import { tableOf } from "./gateway.js";
import type { TableSource } from "./gateway.js";
import { fromIncoming } from "./incoming.js";
import type { DecideOptions } from "./types.js";

export type { TableSource } from "./gateway.js";

/** A request with its decision. */
export interface Annotated {
  gatewright?: Decision;
}

/** For Express, Connect and the like: `app.use(annotate(table))`; handlers find `request.gatewright`. */
export function annotate(table: TableSource, options: DecideOptions = {}) {
  return (request: IncomingMessage & Annotated & { originalUrl?: string }, _response: unknown, next: (error?: unknown) => void): void => {
    try {
      const { method, rawHeaders, httpVersion, socket } = request;
      // Routers cut what they have matched off `url`.
      const url = request.originalUrl ?? request.url;
      request.gatewright = tableOf(table).decide(fromIncoming({ method, url, rawHeaders, httpVersion, socket }), options);
    } catch (error) {
      return next(error);
    }
    next();
  };
}

/** For Fastify: `app.addHook("onRequest", annotateFastify(table))`; handlers find `request.gatewright`. */
export function annotateFastify(table: TableSource, options: DecideOptions = {}) {
  return (request: object & Annotated & { readonly raw: { readonly method?: string | undefined; readonly url?: string | undefined; readonly rawHeaders: string[]; readonly httpVersion: string; readonly socket?: unknown } }, _reply: unknown, done: (error?: Error) => void): void => {
    try {
      request.gatewright = tableOf(table).decide(fromIncoming(request.raw), options);
    } catch (error) {
      return done(error as Error);
    }
    done();
  };
}
