/**
 * A decision, as JavaScript sees it. It holds what it is a function of (table, request, pick) and a handful of numbers; the rest
 * is asked of the table when it is looked at. What is the same for many decisions is kept once, in their plan.
 */
import { ask } from "./engine.js";
import { GatewrightError } from "./errors.js";
import { pairsOf } from "./fields.js";
import type { Written } from "./request.js";
import type { Place, Table } from "./table.js";
import type {
  Backend, DecisionJson, Endpoint, ExternalAuth, HeaderEdit, HeadersInput, Matched, ObjectRef, Retry, Session, SessionKeys,
} from "./types.js";

/** What decisions of one match, backend and reason have in common. */
export interface Plan {
  readonly kind: number;
  readonly match: number;
  readonly backend: number;
  readonly parent: number;
  readonly reason: number;
  /** Nothing but target and authority differ between them. */
  readonly same: boolean;
  readonly next: Plan | undefined;
  details: Details | undefined;
  chosen: Backend | undefined;
}

/** The answer of the operation `report`. */
export interface Details {
  readonly report: Report;
  readonly backend?: number;
  readonly path?: string;
  readonly query?: string | null;
  readonly mirrors?: readonly number[];
  readonly endpoint?: string | null;
}

/** A `DecisionJson` of any kind. */
interface Report extends Partial<Matched> {
  readonly decision: "forward" | "redirect" | "respond";
  readonly backend?: Backend;
  readonly target?: string;
  readonly authority?: string;
  readonly requestHeaders?: readonly HeaderEdit[];
  readonly responseHeaders?: readonly HeaderEdit[];
  readonly mirrors?: readonly Backend[];
  readonly requestTimeoutMs?: number;
  readonly backendRequestTimeoutMs?: number;
  readonly retry?: Retry;
  readonly session?: Session;
  readonly auth?: ExternalAuth;
  readonly extensions?: readonly ObjectRef[];
  readonly status?: number;
  readonly location?: string;
  readonly grpcStatus?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** What a decision is a function of. */
export interface Asked extends Written {
  readonly table: Table;
  readonly place: Place;
  /** A fraction of 2^64, or the whole number as text where no double holds it. */
  readonly pick: number | string;
  readonly sessions: SessionKeys | undefined;
}

const AS_SENT = 1;

/** Who has sent a request. */
export interface Client {
  readonly address: string;
  readonly scheme: "http" | "https";
}

/** Status and header fields of an answer; its body is empty. */
export interface Answer {
  readonly status: number;
  readonly headers: [string, string][];
}

abstract class Decided {
  readonly #asked: Asked;
  readonly #plan: Plan;
  readonly #flags: number;
  readonly #path: number;
  #details: Details | undefined;

  /** @internal */
  constructor(asked: Asked, plan: Plan, flags: number, path: number) {
    this.#asked = asked;
    this.#plan = plan;
    this.#flags = flags;
    this.#path = path;
    this.#details = undefined;
  }

  /** What matched: `route`, `rule` and the rest of it together. `undefined` when nothing did. */
  get matched(): Matched | undefined {
    return this.common().report.route === undefined ? undefined : matchedOf(this.common());
  }
  /** `namespace/name` of the Gateway. */
  get gateway(): string | undefined { return this.common().report.gateway; }
  /** Name of the listener. */
  get listener(): string | undefined { return this.common().report.listener; }
  /** `namespace/name` of the ListenerSet that has the listener, if it is not the Gateway's own. */
  get listenerSet(): string | undefined { return this.common().report.listenerSet; }
  /** In a mesh: `namespace/name:port` of the Service. */
  get service(): string | undefined { return this.common().report.service; }
  /** Name of the rule, if it has one. */
  get ruleName(): string | undefined { return this.common().report.ruleName; }
  /** Edits of the response's header fields, in order, CORS included; `applyResponse` carries them out. */
  get responseEdits(): readonly HeaderEdit[] { return this.own().report.responseHeaders ?? none; }
  /** A service to ask before anything else is done. */
  get auth(): ExternalAuth | undefined { return this.own().report.auth; }
  /** Filters of the program's own, in the order in which they run. */
  get extensions(): readonly ObjectRef[] { return this.own().report.extensions ?? none; }

  /**
   * The header fields of a response to the client, whoever makes it: with the edits of the rule and those of CORS. Those of a
   * backend's response lose what belongs to one hop before, with `fromBackend`.
   */
  applyResponse(headers: HeadersInput, options: { readonly fromBackend?: boolean } = {}): [string, string][] {
    return this.put("applyResponse", { fields: pairsOf(headers), ofBackend: options.fromBackend ?? false });
  }

  /** Status and header fields with which a gateway tells the client of a failure of its own, for instance 502 or 504: with the edits of the rule, and for a gRPC client as a gRPC status. */
  failure(status: number): Answer {
    return this.put("failure", { status });
  }

  /** The decision as `gatewright decide -o json` has it. */
  toJSON(): DecisionJson {
    return this.own().report as DecisionJson;
  }

  /** What Node.js prints. */
  [Symbol.for("nodejs.util.inspect.custom")](): unknown {
    return { kind: this.toJSON().decision, ...this.toJSON(), decision: undefined };
  }

  /** @internal What is the same for all decisions of the plan. */
  protected common(): Details {
    return (this.#plan.details ??= this.#details ?? this.#ask());
  }

  /** @internal What is said of this decision alone. */
  protected own(): Details {
    return (this.#details ??= this.#ask());
  }

  /** @internal What is this decision's, or that of all of the plan where they agree. */
  protected shared(): Details {
    return this.#plan.same ? this.common() : this.own();
  }

  /** @internal The target as it came, if it is the one to forward. */
  protected asSent(): string | undefined {
    return (this.#flags & AS_SENT) === 0 ? undefined : this.#asked.target;
  }

  /** @internal Octets of the path in it. */
  protected get pathLength(): number {
    return this.#path;
  }

  /** @internal The backend: one object for each. */
  protected chosen(): Backend {
    return this.#asked.table.backendOf(this.common());
  }

  /** @internal */
  protected get plan(): Plan {
    return this.#plan;
  }

  /** @internal */
  protected get sessions(): SessionKeys | undefined {
    return this.#asked.sessions;
  }

  #ask(): Details {
    return deepFreeze(this.put<Details>("report", {}));
  }

  /** @internal Asks the table about the same request again. */
  protected put<T>(operation: string, more: object): T {
    return askAgain(operation, this.#asked, more);
  }
}

/** Send the request to a backend. */
export class Forward extends Decided {
  get kind(): "forward" { return "forward"; }
  /** The route. */
  get route(): ObjectRef { return this.common().report.route!; }
  /** Index in `spec.rules`. */
  get rule(): number { return this.common().report.rule!; }
  /** Index in `matches`. */
  get match(): number { return this.common().report.match!; }
  /** The backend; the same object for every decision of the table that chooses it. */
  get backend(): Backend { return (this.plan.chosen ??= this.chosen()); }
  /** Number of the backend in `table.backends()`. */
  get backendId(): number { return this.common().backend!; }
  /** Path and query: the only ones that may be forwarded. */
  get target(): string { return this.asSent() ?? this.own().report.target!; }
  /** The path of `target`. */
  get path(): string {
    return this.asSent()?.slice(0, this.pathLength) ?? this.own().path!;
  }
  /** The query of `target` without `?`. */
  get query(): string | undefined {
    const sent = this.asSent();
    if (sent === undefined) return this.own().query ?? undefined;
    return sent.length > this.pathLength ? sent.slice(this.pathLength + 1) : undefined;
  }
  /** The only authority that may be forwarded; `undefined` only for an HTTP/1.0 request without Host. */
  get authority(): string | undefined { return this.own().report.authority; }
  /** Edits of the request's header fields, in order; `applyRequest` carries them out. */
  get requestEdits(): readonly HeaderEdit[] { return this.shared().report.requestHeaders ?? none; }
  override get responseEdits(): readonly HeaderEdit[] { return this.shared().report.responseHeaders ?? none; }
  override get auth(): ExternalAuth | undefined { return this.shared().report.auth; }
  override get extensions(): readonly ObjectRef[] { return this.shared().report.extensions ?? none; }
  /** Backends that get a copy of this request. */
  get mirrors(): readonly Backend[] { return this.shared().report.mirrors ?? none; }
  /** Numbers of the mirrors in `table.backends()`. */
  get mirrorIds(): readonly number[] { return this.shared().mirrors ?? none; }
  /** Timeout of the whole request in milliseconds; `undefined` is none. */
  get requestTimeoutMs(): number | undefined { return this.shared().report.requestTimeoutMs; }
  /** Timeout of each attempt in milliseconds; `undefined` is none. */
  get backendRequestTimeoutMs(): number | undefined { return this.shared().report.backendRequestTimeoutMs; }
  /** Retries. */
  get retry(): Retry | undefined { return this.shared().report.retry; }
  /** Session persistence. */
  get session(): Session | undefined { return this.shared().report.session; }
  /** The endpoint of a session that goes on, `address:port`: the request has to be sent there. */
  get sessionEndpoint(): string | undefined { return this.shared().endpoint ?? undefined; }

  /**
   * The header fields of the request to the backend, made of those of the client's: without what belongs to one hop, with the
   * edits of the rule, and with `Host`. With `client` also `X-Forwarded-For`, `-Proto`, `-Host` and `Via`, and without what the
   * client says of itself there.
   */
  applyRequest(headers: HeadersInput, client?: Client): [string, string][] {
    return this.put<{ headers: [string, string][] }>("applyRequest", { fields: pairsOf(headers), client }).headers;
  }

  /** The pause before a retry, 0 for the first, in milliseconds. */
  retryPauseMs(retry: number): number {
    return this.put("pause", { retry });
  }

  /**
   * The client's request as one to `upstream` (scheme and authority of the backend, for instance `http://10.0.0.7:8080`), for
   * `fetch`. The body is handed on as a stream.
   *
   * @throws TypeError when `upstream` has more than scheme and authority, or when `Request` would send another target than
   * the decision's: it resolves dot segments, which only `profile: "raw"` forwards.
   */
  toRequest(request: Request, upstream: string | URL, client?: Client): Request {
    const base = new URL(upstream);
    if (base.pathname !== "/" || base.search !== "" || base.hash !== "") throw new TypeError(`\`${base}\` has more than scheme and authority`);
    const url = base.origin + this.target;
    const body = request.body;
    const init = { method: request.method, headers: this.applyRequest(request.headers, client), body, redirect: "manual", signal: request.signal } as RequestInit;
    const made = new Request(url, body === null ? init : ({ ...init, duplex: "half" } as RequestInit));
    if (made.url !== url) throw new TypeError(`a web Request cannot carry the target \`${this.target}\``);
    return made;
  }

  /**
   * The field that the response tells the client so that its session goes on: name and value, or `undefined` when there is
   * nothing to tell. `endpoint` is the one that answered, absent for a backend whose endpoints the table does not know.
   * Needs `sessions` in the options of `decide`.
   */
  sessionField(endpoint?: Endpoint): [string, string] | undefined {
    if (this.sessions === undefined) throw new GatewrightError("GATEWRIGHT_SESSIONS", "decide this request with `sessions`");
    const text = endpoint && (endpoint.address.includes(":") ? `[${endpoint.address}]` : endpoint.address) + `:${endpoint.port}`;
    return this.put<[string, string] | null>("sessionField", { endpoint: text }) ?? undefined;
  }
}

/** Answer with a redirect. */
export class Redirect extends Decided {
  get kind(): "redirect" { return "redirect"; }
  /** The route. */
  get route(): ObjectRef { return this.common().report.route!; }
  /** Index in `spec.rules`. */
  get rule(): number { return this.common().report.rule!; }
  /** Index in `matches`. */
  get match(): number { return this.common().report.match!; }
  /** 301, 302, 303, 307 or 308. */
  get status(): number { return this.own().report.status!; }
  /** Value of the `Location` field. */
  get location(): string { return this.own().report.location!; }
  /** Status and header fields of the redirect. */
  answer(): Answer { return this.put("answer", {}); }
}

/** Answer with a status and an empty body. */
export class Respond extends Decided {
  get kind(): "respond" { return "respond"; }
  /** The route, if one matched. */
  get route(): ObjectRef | undefined { return this.common().report.route; }
  /** Index in `spec.rules`, if one matched. */
  get rule(): number | undefined { return this.common().report.rule; }
  /** Index in `matches`, if one matched. */
  get match(): number | undefined { return this.common().report.match; }
  /** Status code for an HTTP client. */
  get status(): number { return this.common().report.status!; }
  /** gRPC status code for a gRPC client, which gets HTTP status 200. */
  get grpcStatus(): number | undefined { return this.common().report.grpcStatus; }
  /** Why, a stable word. */
  get reason(): string { return this.common().report.reason!; }
  /** Why, a sentence. */
  get message(): string { return this.common().report.message!; }
  /** Status and header fields of the answer. */
  answer(): Answer { return this.put("answer", {}); }
}

/** In a mesh: no route has the Service as parent, and the traffic goes where it was sent. */
export class PassThrough {
  get kind(): "passThrough" { return "passThrough"; }
  get message(): string { return "no route has this port of the Service as parent: the traffic passes through unmodified"; }
  toJSON(): DecisionJson { return { decision: "passThrough", message: this.message }; }
}

/** What is to be done with a request; `kind` tells which. */
export type Decision = Forward | Redirect | Respond;

/** The numbers of the engine's kinds. */
export const classes = [Forward, Redirect, Respond] as const;

const none: readonly never[] = Object.freeze([]);
const TWO_64 = 18446744073709551616;
/** A pick as a fraction of 2^64, as text. */
export function pickText(fraction: number): string {
  return BigInt(Math.floor(fraction * TWO_64)).toString();
}

/** Asks the table about a request. */
export function askAgain<T>(operation: string, asked: Asked, more: object): T {
  const { bits, target, host = "", lines, table, place, pick, sessions } = asked;
  const text = typeof pick === "string" ? pick : pickText(pick);
  return ask(operation, table.numberOf(place), { bits, target, host, lines, pick: text, sessions: sessions && writtenKeys(sessions), ...more });
}

/** Session keys as the engine reads them; the time is part of what a decision is a function of. */
function writtenKeys(sessions: SessionKeys): object {
  const hex = (octets: Uint8Array) => Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return { keys: sessions.keys.map(({ id, secret }) => [id, hex(secret)]), now: sessions.now };
}

function matchedOf({ report }: Details): Matched {
  const { gateway, listener, listenerSet, service, route, rule, ruleName, match } = report;
  return Object.freeze({ gateway, listener, listenerSet, service, route, rule, ruleName, match }) as Matched;
}

/** Makes plain data immutable, all the way down. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}

