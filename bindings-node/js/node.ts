/**
 * `gatewright/node`: a gateway for `node:http` and `node:http2`. It decides each request, and answers it or forwards it through
 * undici: streaming both ways, timeouts, retries, mirrors, TLS towards backends, WebSocket.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import type { Duplex, Readable } from "node:stream";
import { checkServerIdentity } from "node:tls";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import { Agent } from "undici";
import type { Dispatcher } from "undici";
import type { Client, Decision, Forward } from "./decision.js";
import { BackendFailure, attempts, notCarriedOut, tableOf, upstreamOf } from "./gateway.js";
import type { GatewayOptions, TableSource } from "./gateway.js";
import { fromIncoming } from "./incoming.js";
import type { BackendInfo, BackendTls, ObjectRef } from "./types.js";

export type { GatewayOptions, Resolve, TableSource } from "./gateway.js";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** A filter of the program's own: answers the request itself and gives `true`, or gives nothing. */
export type NodeExtension = (request: Request, response: Response, extension: ObjectRef) => boolean | void | Promise<boolean | void>;

/** Options of `createGateway`. */
export interface NodeGatewayOptions extends GatewayOptions {
  /** Filters of the program's own, by `Kind/namespace/name`. Tell `compile` of them, too. A rule with another one answers 500. */
  readonly extensions?: Readonly<Record<string, NodeExtension>>;
  /** The certificates in a ConfigMap, as PEM, for BackendTLSPolicies. Without it such backends answer 502. */
  readonly certificates?: (configMap: ObjectRef) => string | undefined;
  /** The certificate and key in a Secret, as PEM, to show to backends. Without it such backends answer 502. */
  readonly clientCertificate?: (secret: ObjectRef) => { readonly cert: string; readonly key: string } | undefined;
  /** Told of each decision, for an access log. */
  readonly onDecision?: (decision: Decision, request: Request) => void;
}

/** A gateway, as `http.createServer` takes it. */
export interface NodeGateway {
  (request: Request, response: Response): void;
  /** For the server's event `upgrade`: WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes the connections to backends. */
  close(): Promise<void>;
}

/** Octets of a body that are kept for retries; a larger one is sent once. */
const KEPT = 64 * 1024;

/**
 * A gateway for `http.createServer`, `https.createServer` or `http2.createSecureServer`. It never throws for a request.
 *
 * ```js
 * const gateway = createGateway(table);
 * http.createServer(gateway).on("upgrade", gateway.upgrade).listen(8080);
 * ```
 */
export function createGateway(table: TableSource, options: NodeGatewayOptions = {}): NodeGateway {
  const agents = new Map<string, Agent>();

  async function serve(request: Request, response: Response): Promise<void> {
    const compiled = tableOf(table);
    const decision = compiled.decide(fromIncoming(request as IncomingMessage), { gateway: options.gateway, port: options.port, ...(options.sessions && { sessions: options.sessions }) });
    options.onDecision?.(decision, request);
    const reason = notCarriedOut(decision, options, (extension) => handlerOf(options, extension) !== undefined);
    if (reason !== undefined) {
      if (decision.kind === "forward") options.onError?.(new Error(reason), decision);
      return fail(decision, response, 500);
    }
    for (const extension of decision.extensions) {
      if (await handlerOf(options, extension)!(request, response, extension)) return;
    }
    if (decision.kind !== "forward") {
      const { status, headers } = decision.answer();
      return end(response, status, headers);
    }
    try {
      await forward(compiled, decision, request, response);
    } catch (error) {
      options.onError?.(error, decision);
      if (response.headersSent) response.destroy(error as Error);
      else fail(decision, response, error instanceof BackendFailure ? error.status : 502);
    }
  }

  async function forward(compiled: ReturnType<typeof tableOf>, decision: Forward, request: Request, response: Response): Promise<void> {
    const fields = decision.applyRequest(fromIncoming(request as IncomingMessage).headers, clientOf(request));
    const raw = fields.filter(([name]) => name !== "content-length" || hasBody(request)).flat();
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const kept = decision.retry !== undefined && hasBody(request) ? await keep(request) : undefined;
    const mirrors = decision.mirrorIds;
    // Each of those that read a stream gets one of its own.
    const bodies = !hasBody(request) ? [null] : Buffer.isBuffer(kept) ? [kept] : mirrors.length === 0 ? [request] : tee(request, 1 + mirrors.length);
    const bodyOf = (n: number) => bodies[n % bodies.length]!;
    const canRepeat = !hasBody(request) || Buffer.isBuffer(kept);
    const head = { method: (request.method ?? "GET") as Dispatcher.HttpMethod, path: decision.target, headers: raw };

    for (const [n, id] of mirrors.entries()) await mirror(compiled.backend(id), head, bodyOf(n + 1), options);

    const whole = timer(decision.requestTimeoutMs);
    gone.signal.addEventListener("abort", () => whole.clear(), { once: true });
    let endpoint: Parameters<Forward["sessionField"]>[0];
    const answer = await attempts(compiled, decision, canRepeat, async () => {
      const backend = compiled.backend(decision.backendId);
      const upstream = await upstreamOf(backend, options, decision.sessionEndpoint);
      endpoint = upstream.endpoint;
      const each = timer(decision.backendRequestTimeoutMs);
      try {
        const dispatcher = agentOf(backend);
        const given = await dispatcher.request({
          origin: upstream.origin, ...head, body: bodyOf(0), signal: AbortSignal.any([gone.signal, whole.signal, each.signal]),
          responseHeaders: "raw", headersTimeout: 0, bodyTimeout: 0,
        });
        return { status: given.statusCode, ...given };
      } catch (error) {
        if (error instanceof BackendFailure) throw error;
        const late = whole.signal.aborted || each.signal.aborted;
        const status = late ? 504 : decision.retry === undefined ? 502 : 503;
        throw new BackendFailure(status, late ? "the backend did not answer in time" : "the backend cannot be reached", { cause: error });
      } finally {
        each.clear();
      }
    }, (discarded) => discarded.body.dump().catch(() => undefined), () => performance.now());

    const given = decision.applyResponse({ rawHeaders: rawOf(answer.headers) }, { fromBackend: true });
    const field = decision.session === undefined ? undefined : decision.sessionField(endpoint);
    if (field !== undefined) given.push(field);
    begin(response, answer.status, given);
    await new Promise<void>((resolve, reject) => {
      answer.body.on("error", reject);
      answer.body.on("end", () => {
        if (Object.keys(answer.trailers).length > 0) response.addTrailers(answer.trailers as Record<string, string>);
        response.end();
        resolve();
      });
      response.once("close", resolve);
      answer.body.pipe(response as NodeJS.WritableStream, { end: false });
    });
    whole.clear();
  }

  async function mirror(backend: BackendInfo, head: { method: Dispatcher.HttpMethod; path: string; headers: string[] }, body: Readable | Buffer | null, options: NodeGatewayOptions): Promise<void> {
    const upstream = await upstreamOf(backend, options, undefined);
    // A mirror that is gone must not hold the request up.
    const lost = () => void (body !== null && !Buffer.isBuffer(body) && body.on("error", () => undefined).resume());
    void agentOf(backend).request({ origin: upstream.origin, ...head, body, headersTimeout: 30_000, bodyTimeout: 30_000 }).then((answer) => answer.body.dump(), lost).catch(() => undefined);
  }

  /** The connections to backends that are spoken to in one way. */
  function agentOf(backend: BackendInfo): Agent {
    const tls = backend.tls && tlsOf(backend.tls, options);
    const key = JSON.stringify([backend.protocol, backend.tls, tls?.ca, tls?.cert]);
    let agent = agents.get(key);
    if (agent === undefined) {
      const h2c = backend.protocol === "h2c" ? { useH2c: true, allowH2: true } : {};
      agents.set(key, (agent = new Agent({ ...h2c, connect: { timeout: 10_000, ...tls, ...h2c } } as Agent.Options)));
    }
    return agent;
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    void join(request, socket, head).catch((error: unknown) => {
      const status = error instanceof BackendFailure ? error.status : 502;
      refuse(socket, status, []);
    });
  }

  async function join(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const compiled = tableOf(table);
    const input = fromIncoming(request);
    const decision = compiled.decide(input, { gateway: options.gateway, port: options.port, ...(options.sessions && { sessions: options.sessions }) });
    options.onDecision?.(decision, request);
    const protocol = compiled.upgradeOf(input);
    if (notCarriedOut(decision, options, () => false) !== undefined) return refuse(socket, decision.failure(500).status, decision.failure(500).headers);
    if (decision.kind !== "forward") return refuse(socket, decision.answer().status, decision.answer().headers);
    const backend = compiled.backend(decision.backendId);
    if (protocol === undefined || backend.protocol !== "http1") return refuse(socket, 501, []);
    const upstream = await upstreamOf(backend, options, decision.sessionEndpoint);
    const { hostname, port, protocol: scheme } = new URL(upstream.origin);
    const fields = decision.applyRequest(input.headers, clientOf(request));
    fields.push(["connection", "upgrade"], ["upgrade", protocol]);
    const send = scheme === "https:" ? httpsRequest : httpRequest;
    const tls = backend.tls && tlsOf(backend.tls, options);
    const sent = send({ hostname: hostname.replace(/^\[|\]$/g, ""), port: port || (scheme === "https:" ? 443 : 80), method: "GET", path: decision.target, headers: fields.flat() as never, setHost: false, agent: false, ...tls });
    await new Promise<void>((resolve, reject) => {
      sent.once("error", (error) => reject(new BackendFailure(502, "the backend cannot be reached", { cause: error })));
      if (decision.requestTimeoutMs !== undefined) {
        const late = setTimeout(() => (sent.destroy(), reject(new BackendFailure(504, "the backend did not answer in time"))), decision.requestTimeoutMs);
        sent.once("upgrade", () => clearTimeout(late)).once("response", () => clearTimeout(late)).once("close", () => clearTimeout(late));
      }
      sent.once("upgrade", (answer, other: Socket, first: Buffer) => {
        const given = decision.applyResponse({ rawHeaders: answer.rawHeaders }, { fromBackend: true });
        write(socket, 101, "Switching Protocols", [...given, ["connection", "upgrade"], ["upgrade", protocol]]);
        if (first.length > 0) socket.write(first);
        if (head.length > 0) other.write(head);
        const stop = () => (socket.destroy(), other.destroy());
        other.on("error", stop).on("close", stop);
        socket.on("close", stop);
        other.pipe(socket).pipe(other);
        resolve();
      });
      sent.once("response", (answer) => {
        // The backend does not want it: its answer is the client's.
        const given = decision.applyResponse({ rawHeaders: answer.rawHeaders }, { fromBackend: true }).filter(([name]) => name !== "content-length");
        write(socket, answer.statusCode ?? 502, answer.statusMessage ?? "", [...given, ["connection", "close"]]);
        answer.pipe(socket);
        resolve();
      });
      sent.end();
    });
  }

  const gateway = (request: Request, response: Response): void => {
    serve(request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy(error as Error);
      // What is wrong is wrong with this program, and the client learns no more than that.
      end(response, 500, []);
    });
  };
  return Object.assign(gateway, { upgrade, close: async () => void (await Promise.all([...agents.values()].map((agent) => agent.close()))) });
}

/** TLS towards a backend; nothing is sent without what its policy asks for. */
function tlsOf(tls: BackendTls, options: NodeGatewayOptions): Pick<TlsOptions, "servername" | "ca" | "cert" | "key" | "checkServerIdentity"> {
  const given: { -readonly [K in "servername" | "ca" | "cert" | "key" | "checkServerIdentity"]?: TlsOptions[K] } = { servername: tls.hostname };
  if (tls.caCertificates !== undefined) {
    const ca = tls.caCertificates.map((each) => options.certificates?.(each));
    if (ca.some((each) => each === undefined)) throw new BackendFailure(502, "the certificates that the BackendTLSPolicy trusts are not there");
    given.ca = ca as string[];
  }
  if (tls.clientCertificate !== undefined) {
    const shown = options.clientCertificate?.(tls.clientCertificate);
    if (shown === undefined) throw new BackendFailure(502, "the certificate to show to the backend is not there");
    Object.assign(given, shown);
  }
  const names = tls.subjectAltNames;
  if (names?.some((name) => name.includes("://"))) throw new BackendFailure(502, "URIs in certificates are not verified by this handler");
  const verified = names ?? [tls.hostname];
  given.checkServerIdentity = (_host, certificate) => {
    const errors = verified.map((name) => checkServerIdentity(name, certificate));
    return errors.includes(undefined) ? undefined : errors[0];
  };
  return given;
}

function clientOf(request: Request): Client {
  const socket = request.socket as Socket & { readonly encrypted?: boolean };
  return { address: socket.remoteAddress?.replace(/^::ffff:/, "") ?? "unknown", scheme: socket.encrypted ? "https" : "http" };
}

function hasBody(request: Request): boolean {
  const { headers } = request;
  if (request.httpVersion.startsWith("2")) return !(request as Http2ServerRequest).stream.endAfterHeaders;
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] !== undefined && headers["content-length"] !== "0");
}

/** The octets of a body that is not large, else the stream with those that were read put back. */
async function keep(request: Request): Promise<Buffer | Readable> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stream = request as IncomingMessage;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > KEPT) {
      stream.unshift(Buffer.concat(chunks));
      return stream;
    }
  }
  return Buffer.concat(chunks);
}

/** So many streams of what one has. */
function tee(request: Request, count: number): PassThrough[] {
  const streams = Array.from({ length: count }, () => new PassThrough());
  for (const stream of streams) request.pipe(stream);
  request.once("error", (error) => streams.forEach((stream) => stream.destroy(error)));
  return streams;
}

function timer(ms: number | undefined): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const running = ms === undefined ? undefined : setTimeout(() => controller.abort(), ms);
  return { signal: controller.signal, clear: () => clearTimeout(running) };
}

/** Raw header fields of undici: octets, or text of them. */
function rawOf(headers: unknown): string[] {
  if (Array.isArray(headers)) return headers.map((each: Buffer | string) => (typeof each === "string" ? each : each.toString("latin1")));
  return Object.entries(headers as Record<string, string | string[]>).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).flatMap((each) => [name, each]));
}

function begin(response: Response, status: number, fields: readonly (readonly [string, string])[]): void {
  const byName = new Map<string, string[]>();
  for (const [name, value] of fields) byName.set(name, [...(byName.get(name) ?? []), value]);
  for (const [name, values] of byName) response.setHeader(name, values.length === 1 ? values[0]! : values);
  (response as ServerResponse).writeHead(status);
}

function end(response: Response, status: number, fields: readonly (readonly [string, string])[]): void {
  const withLength: readonly (readonly [string, string])[] = status === 204 ? fields : [...fields, ["content-length", "0"]];
  begin(response, status, withLength);
  response.end();
}

function fail(decision: Decision, response: Response, status: number): void {
  const answer = decision.failure(status);
  end(response, answer.status, answer.headers);
}

function refuse(socket: Duplex, status: number, fields: readonly (readonly [string, string])[]): void {
  write(socket, status, "", [...fields, ["content-length", "0"], ["connection", "close"]]);
  socket.end();
}

function write(socket: Duplex, status: number, phrase: string, fields: readonly (readonly [string, string])[]): void {
  socket.write(`HTTP/1.1 ${status} ${phrase}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`, "latin1");
}

function handlerOf(options: NodeGatewayOptions, { kind, namespace, name }: ObjectRef): NodeExtension | undefined {
  const key = `${kind}/${namespace}/${name}`;
  return options.extensions !== undefined && Object.hasOwn(options.extensions, key) ? options.extensions[key] : undefined;
}
