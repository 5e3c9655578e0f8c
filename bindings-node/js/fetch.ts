/**
 * `gatewright/fetch`: a gateway as a function from `Request` to `Response`, for edge workers, Hono and whatever else speaks the
 * Fetch standard.
 */
import type { Decision, Forward } from "./decision.js";
import { BackendFailure, attempts, notCarriedOut, tableOf, upstreamOf } from "./gateway.js";
import type { GatewayOptions, TableSource } from "./gateway.js";
import type { DecideOptions, ObjectRef } from "./types.js";

export type { GatewayOptions, Resolve, TableSource } from "./gateway.js";

/** A filter of the program's own: gives a response in place of the backend's, or another request to go on with, or nothing. */
export type FetchExtension = (request: Request, extension: ObjectRef) => Response | Request | undefined | Promise<Response | Request | undefined>;

/** Options of `createFetchHandler`. */
export interface FetchGatewayOptions extends GatewayOptions {
  /** Filters of the program's own, by `Kind/namespace/name`. Tell `compile` of them, too. A rule with another one answers 500. */
  readonly extensions?: Readonly<Record<string, FetchExtension>>;
  /** Server name of the TLS handshake. Default: the host of an `https` URL, which trusts whoever ended TLS before this function. */
  readonly sni?: (request: Request) => string | undefined;
  /** Scheme of the listener, where it is not the URL's: `http` behind a load balancer that ends TLS for listeners without it. */
  readonly scheme?: "http" | "https";
  /** Address of the client for `X-Forwarded-For`; without it nothing is told, and nothing is believed either. */
  readonly clientAddress?: (request: Request) => string | undefined;
  /** What sends requests. Default: the global `fetch`. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** Octets of a body that are kept for retries and mirrors; a larger one is sent once. */
const KEPT = 64 * 1024;

/**
 * A handler for requests: decides each, and answers it or sends it on with `fetch`. It never throws for a request.
 *
 * What `fetch` cannot do fails closed with 502: another server name or other authorities than the URL's own for a backend with
 * TLS, and HTTP/2 without TLS. Upgrades are not carried out; `gatewright/node` does that.
 */
export function createFetchHandler(table: TableSource, options: FetchGatewayOptions = {}): (request: Request) => Promise<Response> {
  return async (request) => {
    const compiled = tableOf(table);
    const url = new URL(request.url);
    const asked: { -readonly [K in keyof DecideOptions]: DecideOptions[K] } = { gateway: options.gateway, port: options.port, scheme: options.scheme, sessions: options.sessions };
    const sni = options.sni === undefined ? (url.protocol === "https:" ? url.hostname : undefined) : options.sni(request);
    if (sni !== undefined) asked.sni = sni;
    const decision = compiled.decide(request, asked);
    const reason = notCarriedOut(decision, options, (extension) => handlerOf(options, extension) !== undefined);
    if (reason !== undefined) {
      if (decision.kind === "forward") options.onError?.(new Error(reason), decision);
      return failed(decision, 500);
    }
    let current = request;
    for (const extension of decision.extensions) {
      const given = await handlerOf(options, extension)!(current, extension);
      if (given instanceof Response) return edited(decision, given, false);
      if (given !== undefined) current = given;
    }
    if (decision.kind !== "forward") {
      const { status, headers } = decision.answer();
      return new Response(null, { status, headers });
    }
    try {
      return await forward(compiled, decision, current, options);
    } catch (error) {
      options.onError?.(error, decision);
      return failed(decision, error instanceof BackendFailure ? error.status : 502);
    }
  };
}

async function forward(table: ReturnType<typeof tableOf>, decision: Forward, request: Request, options: FetchGatewayOptions): Promise<Response> {
  const send = options.fetch ?? ((made: Request) => fetch(made));
  const address = options.clientAddress?.(request);
  const scheme = options.scheme ?? (request.url.startsWith("https:") ? "https" : "http");
  const client = address === undefined ? undefined : ({ address, scheme } as const);
  const many = decision.retry !== undefined || decision.mirrors.length > 0;
  const kept = many && request.body !== null ? await keep(request) : undefined;
  const body = () => (kept instanceof Uint8Array ? (kept as Uint8Array<ArrayBuffer>) : (kept ?? request.body));
  const canRepeat = request.body === null || kept instanceof Uint8Array;

  for (const id of decision.mirrorIds) {
    if (!canRepeat) throw new BackendFailure(500, "a body of more than 64 KiB cannot be mirrored");
    const to = await targetOf(table, id, options, undefined);
    const copy = made(decision, request, to.origin, body(), client, undefined);
    void send(copy).then((answer) => answer.body?.cancel(), () => undefined);
  }

  const whole = decision.requestTimeoutMs === undefined ? undefined : AbortSignal.timeout(decision.requestTimeoutMs);
  let answered: Awaited<ReturnType<typeof targetOf>> | undefined;
  const response = await attempts(table, decision, canRepeat, async () => {
    const to = (answered = await targetOf(table, decision.backendId, options, decision.sessionEndpoint));
    const each = decision.backendRequestTimeoutMs === undefined ? undefined : AbortSignal.timeout(decision.backendRequestTimeoutMs);
    const signals = [request.signal, whole, each].filter((signal): signal is AbortSignal => signal !== undefined);
    try {
      return await send(made(decision, request, to.origin, body(), client, AbortSignal.any(signals)));
    } catch (error) {
      const late = whole?.aborted || each?.aborted;
      throw new BackendFailure(late ? 504 : decision.retry === undefined ? 502 : 503, late ? "the backend did not answer in time" : "the backend cannot be reached", { cause: error });
    }
  }, (answer) => void answer.body?.cancel(), () => performance.now());
  const field = decision.session === undefined ? undefined : decision.sessionField(answered?.endpoint);
  return edited(decision, response, true, field);
}

async function targetOf(table: ReturnType<typeof tableOf>, id: number, options: FetchGatewayOptions, pinned: string | undefined) {
  const backend = table.backend(id);
  const { tls } = backend;
  if (backend.protocol === "h2c") throw new BackendFailure(502, "fetch cannot speak HTTP/2 without TLS");
  const upstream = await upstreamOf(backend, options, pinned);
  const verified = tls === undefined || (!tls.caCertificates && !tls.clientCertificate && !tls.subjectAltNames && new URL(upstream.origin).hostname === tls.hostname);
  if (!verified) throw new BackendFailure(502, `fetch cannot verify ${upstream.origin} as \`${tls!.hostname}\``);
  return upstream;
}

function made(decision: Forward, request: Request, origin: string, body: BodyInit | null, client: Parameters<Forward["applyRequest"]>[1], signal: AbortSignal | undefined): Request {
  const { method, headers } = request;
  const withBody = new Request(request.url, { method, headers, body, signal, ...(body === null ? {} : { duplex: "half" }) } as RequestInit);
  return decision.toRequest(withBody, origin, client);
}

/** The octets of a body that is not large, else the stream with those that were read put back. */
async function keep(request: Request): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const reader = request.body!.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size > KEPT) {
      return new ReadableStream({
        async pull(controller) {
          const chunk = chunks.shift() ?? (await reader.read()).value;
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: (reason) => reader.cancel(reason),
      });
    }
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function edited(decision: Decision, response: Response, fromBackend: boolean, field?: [string, string]): Response {
  const headers = new Headers(decision.applyResponse(response.headers, { fromBackend }));
  // `fetch` has decoded the body, and its length is another one.
  if (fromBackend && headers.has("content-encoding")) {
    headers.delete("content-encoding");
    headers.delete("content-length");
  }
  if (field !== undefined) headers.append(...field);
  const { status, statusText } = response;
  const empty = [101, 204, 205, 304].includes(status);
  return new Response(empty ? null : response.body, { status, statusText, headers });
}

function failed(decision: Decision, status: number): Response {
  const answer = decision.failure(status);
  return new Response(null, { status: answer.status, headers: answer.headers });
}

function handlerOf(options: FetchGatewayOptions, { kind, namespace, name }: ObjectRef): FetchExtension | undefined {
  const key = `${kind}/${namespace}/${name}`;
  return options.extensions !== undefined && Object.hasOwn(options.extensions, key) ? options.extensions[key] : undefined;
}
