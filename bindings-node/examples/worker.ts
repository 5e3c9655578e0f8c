/** A gateway in an edge worker. */
import { compile, type ExplainedRequest } from "./manifests.js";
import { createFetchHandler } from "gatewright/fetch";

const handler = createFetchHandler(compile(), { resolve: { "default/web:80": "http://origin.example" }, clientAddress: (request) => request.headers.get("cf-connecting-ip") ?? undefined });
export default { fetch: (request: Request): Promise<Response> => handler(request) };
export type { ExplainedRequest };
