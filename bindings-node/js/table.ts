import { Forward, PassThrough, Redirect, Respond, askAgain, deepFreeze, pickText } from "./decision.js";
import type { Asked, Decision, Details, Plan } from "./decision.js";
import { ROOM, ask, engine } from "./engine.js";
import { GatewrightError, PlaceError } from "./errors.js";
import { Names, pairsOf } from "./fields.js";
import { writtenOf } from "./request.js";
import type {
  Backend, BackendInfo, ConnectionDecision, ConnectionExplanation, ConnectionOptions, DecideOptions, Diagnostic, Explanation, Gateway,
  Listener, ObjectCondition, ObjectRef, PlaceOptions, RequestInput, RoutingRow, Status,
} from "./types.js";

/** Where requests arrive, as options say it, with the engine's number of it. */
export interface Place {
  readonly where: Where;
  /** -1: not looked up, or forgotten. */
  number: number;
}

interface Where {
  readonly gateway: string | undefined;
  readonly port: number | undefined;
  readonly listener: string | undefined;
  readonly listenerSet: string | undefined;
  readonly service: string | undefined;
  readonly client: string | undefined;
  readonly scheme: string | undefined;
  readonly httpVersion: string | undefined;
  readonly transport?: string;
}

/** What the compiler of the engine says of a table. */
export interface Compiled {
  readonly table: number;
  readonly names: readonly string[] | null;
}

/** A table as it is sent to a worker thread by `postMessage`. */
export interface SharedTable {
  readonly gatewright: "native" | "wasm";
  readonly table: number;
  readonly process: number;
  /** Where threads share nothing: what it is compiled of. */
  readonly sources?: readonly (readonly [string, Uint8Array])[];
  readonly options?: unknown;
}

/** Places that are kept; schemes are the client's words, so there might be any number. */
const PLACES = 64;
const NONE = 0xffffffff;
const PLAIN = 2;
const TWO_64 = 18446744073709551616;
const empty: DecideOptions = Object.freeze({});
const passThrough = Object.freeze(new PassThrough());
/** A table with its places, to let go of. */
interface Hold {
  readonly table: number;
  places: number[];
}
const unreachable = new FinalizationRegistry<Hold>(({ table, places }) => void ask("release", table, places));
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

/**
 * A compiled table: immutable, and synchronous to ask. It lives outside of JavaScript's memory and goes with this object, or
 * at once by `close()` or `using`.
 */
export class Table {
  readonly #id: number;
  readonly #hold: Hold;
  readonly #names: Names;
  readonly #sources: Pick<SharedTable, "sources" | "options"> | undefined;
  readonly #places = new Map<string, Place>();
  /** Plans by match, and by reason where nothing matched. */
  readonly #plans: (Plan | undefined)[] = [];
  readonly #unmatched: (Plan | undefined)[] = [];
  readonly #backends = new Map<number, Backend>();
  #last: Place;
  #open = true;

  /** @internal Tables come from `compile`, `load`, `watch` and `openShared`. */
  constructor(compiled: Compiled, sources?: Pick<SharedTable, "sources" | "options">) {
    this.#id = compiled.table;
    this.#names = new Names(compiled.names ?? undefined);
    this.#sources = sources;
    this.#last = { where: whereOf(empty, undefined, undefined), number: -1 };
    this.#hold = { table: compiled.table, places: [] };
    unreachable.register(this, this.#hold, this);
  }

  /**
   * Decides one request. Never throws for a request that no route is for: that is a decision, too (404).
   *
   * A web `Request` has been normalised: its path is resolved, and repeated header lines are one. Where the octets of the wire
   * are at hand, hand them over as `{ method, url, headers }` or by `fromIncoming`.
   *
   * @throws TypeError for arguments that are not what they should be, also for text with code units above 0xFF.
   * @throws PlaceError when the Gateway or port is not there, or not plain.
   */
  decide(request: Request | RequestInput, options: DecideOptions & { readonly service: string }): Decision | PassThrough;
  decide(request: Request | RequestInput, options?: DecideOptions): Decision;
  decide(request: Request | RequestInput, options: DecideOptions = empty): Decision | PassThrough {
    const input = request as RequestInput;
    const { bits, target, host, lines } = writtenOf(request, options, this.#names);
    const place = this.#placeOf(options, input.scheme, input.httpVersion);
    if (place.number < 0 && !this.#find(place)) return passThrough;
    const pick = options.pick === undefined ? Math.random() : fractionOf(options.pick);
    const asked: Asked = { bits, target, host, lines, table: this, place, pick, sessions: undefined };
    const length = target.length + lines.length + (host === undefined ? 0 : host.length);
    if (length > ROOM || pick !== pick || options.sessions !== undefined) return decideLong(asked, options);
    const kind = engine.decide(place.number, bits, target, host, lines, pick);
    if (kind < 0) throw this.#refused(kind, asked);
    const numbers = engine.numbers;
    const flags = numbers[5]!;
    const plan = this.#plan(kind, numbers[0]!, numbers[1]!, numbers[2]!, numbers[3]!, (flags & PLAIN) !== 0);
    if (kind === 0) return new Forward(asked, plan, flags, numbers[4]!);
    if (kind === 1) return new Redirect(asked, plan, 0, 0);
    return new Respond(asked, plan, 0, 0);
  }

  /** Explains the decision for a request: what won and why, and what every other candidate failed on. Takes what `decide` does. */
  explain(request: Request | RequestInput, options: DecideOptions = empty): Explanation & { readonly text: string } {
    const input = request as RequestInput;
    const written = writtenOf(request, options);
    const place = this.#placeOf(options, input.scheme, input.httpVersion);
    if (place.number < 0 && !this.#find(place)) throw new PlaceError(passThrough.message);
    const asked: Asked = { ...written, table: this, place, pick: pickOf(options.pick), sessions: undefined };
    const { explanation, text } = askAgain<{ explanation: Explanation; text: string }>("explain", asked, {});
    return deepFreeze({ ...explanation, text });
  }

  /** Decides a connection, or the first datagram of a flow: TLS by server name, TCP, UDP. */
  decideConnection(options: ConnectionOptions = {}): ConnectionDecision {
    return this.#connection(options, false) as ConnectionDecision;
  }

  /** Explains the decision about a connection. */
  explainConnection(options: ConnectionOptions = {}): ConnectionExplanation & { readonly text: string } {
    const { explanation, text } = this.#connection(options, true) as { explanation: ConnectionExplanation; text: string };
    return deepFreeze({ ...explanation, text });
  }

  /** The accepted Gateways, with their ports and listeners. */
  gateways(): readonly Gateway[] { return this.#show("gateways"); }
  /** The accepted listeners. */
  listeners(): readonly Listener[] { return this.#show("listeners"); }
  /** The routes that take part. */
  routes(): readonly ObjectRef[] { return this.#show("routes"); }
  /** The backends of all rules, with their endpoints. */
  backends(): readonly BackendInfo[] { return this.#show("backends"); }
  /** The status that a controller writes back. */
  status(): Status { return this.#show("status"); }
  /** What was found in the manifests, errors, warnings and notes. */
  diagnostics(): readonly Diagnostic[] { return this.#show("diagnostics"); }
  /** The whole table in the order in which it decides. */
  routing(): readonly RoutingRow[] { return this.#show("routing"); }
  /** How many there are of each part. */
  counts(): Readonly<Record<"gateways" | "listeners" | "routes" | "rules" | "matches" | "backends", number>> { return this.#show("counts"); }

  /** Every condition of `status()`, one a row. */
  conditions(): readonly ObjectCondition[] {
    type Part = { conditions?: []; listeners?: { name: string; conditions: [] }[]; parents?: Part[]; ancestors?: Part[]; parentRef?: object; ancestorRef?: object };
    const rows: object[] = [];
    for (const { object, status } of Object.values(this.status()).flat()) {
      const { conditions = [], listeners = [], parents = [], ancestors = [] } = status as Part;
      rows.push(...conditions.map((condition: object) => ({ object, ...condition })));
      for (const { name, conditions } of listeners) rows.push(...conditions.map((condition: object) => ({ object, listener: name, ...condition })));
      for (const part of [...parents, ...ancestors]) {
        const parent = part.parentRef ?? part.ancestorRef;
        rows.push(...(part.conditions ?? []).map((condition: object) => ({ object, parent, ...condition })));
      }
    }
    return deepFreeze(rows) as ObjectCondition[];
  }

  /**
   * The table for a worker thread: plain data for `postMessage` or `workerData`, which `openShared` makes a table of there. The
   * threads of a process share one native table; keep this one until the worker has opened it. In WebAssembly the worker
   * compiles it again.
   */
  share(): SharedTable {
    this.#check();
    return { gatewright: engine.name, table: this.#id, process: processId(), ...this.#sources };
  }

  /** Lets go of the table. Its decisions can still be read as far as they have been read. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    unreachable.unregister(this);
    ask("release", this.#id, this.#hold.places);
    this.#last.number = -1;
    for (const place of this.#places.values()) place.number = -1;
  }

  [dispose](): void {
    this.close();
  }

  /** A backend by its number, with its endpoints. */
  backend(id: number): BackendInfo {
    this.#check();
    return deepFreeze(ask("backend", this.#id, id));
  }

  /**
   * Counts a first request to a backend, or with `retry` says whether one may be sent again: its retry budget, which a backend
   * without a policy has, too. `nowMs` is any clock that never goes back.
   */
  countRequest(backendId: number, retry: boolean, nowMs: number): boolean {
    this.#check();
    return ask("budget", this.#id, [backendId, retry, Math.floor(nowMs)]);
  }

  /** The protocol of an upgrade that may pass (WebSocket); `undefined` for none. */
  upgradeOf(request: RequestInput): string | undefined {
    return ask<string | null>("upgrade", 0, [pairsOf(request.headers), request.method, request.httpVersion ?? "1.1"]) ?? undefined;
  }

  /** @internal The engine's number of a place. */
  numberOf(place: Place): number {
    if (place.number < 0) this.#find(place);
    return place.number;
  }

  /** @internal One object for each backend. */
  backendOf(details: Details): Backend {
    const known = this.#backends.get(details.backend!);
    if (known !== undefined) return known;
    const backend = details.report.backend!;
    this.#backends.set(details.backend!, backend);
    return backend;
  }

  #check(): void {
    if (!this.#open) throw new GatewrightError("GATEWRIGHT_CLOSED", "the table is closed");
  }

  #show<T>(what: string): T {
    this.#check();
    return deepFreeze(ask<T>("show", this.#id, what));
  }

  #placeOf(options: DecideOptions, ownScheme: string | undefined, ownVersion: string | undefined): Place {
    const last = this.#last.where;
    const scheme = options.scheme ?? ownScheme;
    const httpVersion = options.httpVersion ?? ownVersion;
    if (
      options.port === last.port && options.gateway === last.gateway && scheme === last.scheme && httpVersion === last.httpVersion &&
      options.listener === last.listener && options.service === last.service && options.client === last.client &&
      options.listenerSet === last.listenerSet
    ) return this.#last;
    return (this.#last = this.#known(whereOf(options, scheme, httpVersion)));
  }

  #known(where: Where): Place {
    const key = JSON.stringify(where);
    let place = this.#places.get(key);
    if (place === undefined) {
      if (this.#places.size >= PLACES) this.#forget();
      place = { where, number: -1 };
      this.#places.set(key, place);
    }
    return place;
  }

  #forget(): void {
    ask("forget", this.#id, this.#hold.places);
    this.#hold.places = [];
    for (const place of this.#places.values()) place.number = -1;
    this.#last.number = -1;
    this.#places.clear();
  }

  /** Looks a place up; false when the traffic passes through. */
  #find(place: Place): boolean {
    this.#check();
    const found = ask<{ place?: number }>("place", this.#id, place.where);
    if (found.place === undefined) return false;
    place.number = found.place;
    this.#hold.places.push(found.place);
    // The first one is made without a look at the others.
    this.#places.set(JSON.stringify(place.where), place);
    return true;
  }

  #plan(kind: number, match: number, backend: number, parent: number, reason: number, same: boolean): Plan {
    const plans = match === NONE ? this.#unmatched : this.#plans;
    const at = match === NONE ? reason : match;
    const first = plans[at];
    for (let plan = first; plan !== undefined; plan = plan.next) {
      if (plan.backend === backend && plan.parent === parent && plan.reason === reason && plan.kind === kind && plan.same === same) return plan;
    }
    return (plans[at] = { kind, match, backend, parent, reason, same, next: first, details: undefined, chosen: undefined });
  }

  #connection(options: ConnectionOptions, explain: boolean): unknown {
    this.#check();
    const { sni, pick, transport = sni === undefined ? "tcp" : "tls", ...rest } = options;
    const place = this.#known({ ...whereOf(rest, undefined, undefined), transport });
    if (place.number < 0 && !this.#find(place)) return passThrough.toJSON();
    return deepFreeze(ask("connection", place.number, { sni, pick: pickOf(pick), explain }));
  }

  #refused(kind: number, asked: Asked): Error {
    this.#check();
    if (kind === -3) {
      // The sentence says what there is instead.
      const { where: own } = asked.place;
      const where = { ...own, scheme: own.scheme ?? (/^https:/i.test(asked.target) ? "https" : "http") };
      try {
        ask("place", this.#id, where);
      } catch (error) {
        return error as Error;
      }
      return new PlaceError("the Gateway has no port for the scheme of this request");
    }
    return kind === -2 ? notOctets(asked)! : new TypeError("the value of a header field has a line feed");
  }
}

function notOctets({ target, host = "", lines }: Asked): TypeError | undefined {
  const odd = /[^\0-\xff]/u.exec(target) ?? /[^\0-\xff]/u.exec(host) ?? /[^\0-\xff]/u.exec(lines);
  return odd ? new TypeError(`${JSON.stringify(odd[0])} is no octet: text of requests is ISO 8859-1 (code units up to 0xFF), as Node.js has it`) : undefined;
}

/** What the hot path has no room for: long requests, picks beyond 2^53, sessions. */
function decideLong(asked: Asked, options: DecideOptions): Decision {
  const { sessions } = options;
  const odd = notOctets(asked);
  if (odd !== undefined) throw odd;
  const whole: Asked = {
    ...asked,
    pick: options.pick === undefined ? asked.pick : pickOf(options.pick),
    sessions: sessions && { keys: sessions.keys, now: sessions.now ?? Math.floor(Date.now() / 1000) },
  };
  const details = deepFreeze(askAgain<Details>("report", whole, {}));
  const plan: Plan = { kind: 0, match: NONE, backend: NONE, parent: NONE, reason: NONE, same: true, next: undefined, details, chosen: undefined };
  const Class = { forward: Forward, redirect: Redirect, respond: Respond }[details.report.decision];
  return new Class(whole, plan, 0, 0);
}

/** A pick as text; absent is random. */
function pickOf(pick: bigint | number | undefined): string {
  if (pick === undefined) return pickText(Math.random());
  fractionOf(pick);
  return BigInt(pick).toString();
}

function whereOf(options: PlaceOptions, scheme: string | undefined, httpVersion: string | undefined): Where {
  const { gateway, port, listener, listenerSet, service, client } = options;
  return { gateway, port, listener, listenerSet, service, client, scheme, httpVersion };
}

/** A pick as a fraction of 2^64; `NaN` for one that a double cannot hold. */
function fractionOf(pick: bigint | number): number {
  if (typeof pick === "bigint" ? pick >= 0n && pick < 1n << 64n : Number.isSafeInteger(pick) && pick >= 0) {
    const fraction = Number(pick) / TWO_64;
    return typeof pick === "number" || BigInt(Number(pick)) === pick ? fraction : NaN;
  }
  throw new TypeError("a pick is a whole number from 0 to 2^64-1");
}

function processId(): number {
  return typeof process === "undefined" ? 0 : (process.pid ?? 0);
}

/** The table that another thread of this process has shared, or in WebAssembly the same one compiled again. */
export function openNative(shared: SharedTable): Table {
  if (shared.process !== processId() || !ask<boolean>("retain", shared.table)) {
    throw new GatewrightError("GATEWRIGHT_CLOSED", "the table is gone: keep the one that was shared until it is opened, in the same process");
  }
  return new Table({ table: shared.table, names: ask("names", shared.table) });
}
