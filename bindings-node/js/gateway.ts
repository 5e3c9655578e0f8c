/** What the handlers of `gatewright/node` and `gatewright/fetch` have in common: what they carry out, and where backends are. */
import type { Decision, Forward } from "./decision.js";
import type { Table } from "./table.js";
import type { BackendInfo, ObjectRef, PlaceOptions, SessionKeys } from "./types.js";

/** Where a backend is: scheme and authority, for instance `http://10.0.0.7:8080`. */
export type Resolve =
  | Readonly<Record<string, string>>
  | ((backend: BackendInfo) => string | undefined | Promise<string | undefined>);

/** Options of both handlers. */
export interface GatewayOptions extends Pick<PlaceOptions, "gateway" | "port"> {
  /**
   * Where backends are: by `namespace/name:port`, or a function. What it does not know is looked for among the endpoints of its
   * EndpointSlices, and else by the DNS name of its Service.
   */
  readonly resolve?: Resolve;
  /** Keys of session tokens. Without them a rule that asks for sessions answers 500. */
  readonly sessions?: SessionKeys;
  /** Told of what went wrong at a backend; the client gets 502, 503 or 504. */
  readonly onError?: (error: unknown, decision: Forward) => void;
}

/** A table, or a function that gives the one of the moment: of a watcher, for instance. */
export type TableSource = Table | (() => Table);

export function tableOf(source: TableSource): Table {
  return typeof source === "function" ? source() : source;
}

/** Why a decision is not carried out by this handler; it answers 500, since nothing is served as if it had not been asked for. */
export function notCarriedOut(decision: Decision, options: GatewayOptions, runs: (extension: ObjectRef) => boolean): string | undefined {
  if (decision.auth !== undefined) return "the rule has an ExternalAuth filter, which this handler does not carry out";
  const extension = decision.extensions.find((each) => !runs(each));
  if (extension !== undefined) return `there is no handler for the extension ${extension.kind}/${extension.namespace}/${extension.name}`;
  if (decision.kind !== "forward") return undefined;
  if (decision.session !== undefined && options.sessions === undefined) return "the rule asks for sessions, and there are no keys";
  return undefined;
}

/** Where a backend is, and which of its endpoints that is, if it has any. */
export interface Upstream {
  readonly origin: string;
  readonly endpoint: { readonly address: string; readonly port: number } | undefined;
}

/** Finds a backend: by `resolve`, else by an endpoint drawn at random (or the session's), else by DNS name. */
export async function upstreamOf(backend: BackendInfo, options: GatewayOptions, pinned: string | undefined): Promise<Upstream> {
  const scheme = backend.tls === undefined ? "http" : "https";
  const known = backend.endpoints?.find((each) => authorityOf(each) === pinned);
  const told = known === undefined ? await resolved(backend, options.resolve) : undefined;
  if (told !== undefined) {
    const { protocol, host } = new URL(told);
    if (protocol !== `${scheme}:`) throw new Error(`${told}: the backend is spoken to by ${scheme}`);
    return { origin: `${scheme}://${host}`, endpoint: undefined };
  }
  const endpoint = known ?? backend.endpoints?.[Math.floor(Math.random() * backend.endpoints.length)];
  const name = backend.host ?? `${backend.name}.${backend.namespace}.svc.cluster.local`;
  return { origin: `${scheme}://${endpoint === undefined ? `${name}:${backend.port}` : authorityOf(endpoint)}`, endpoint };
}

function authorityOf({ address, port }: { address: string; port: number }): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

async function resolved(backend: BackendInfo, resolve: Resolve | undefined): Promise<string | undefined> {
  if (resolve === undefined) return undefined;
  if (typeof resolve === "function") return resolve(backend);
  const name = `${backend.namespace}/${backend.name}:${backend.port}`;
  return Object.hasOwn(resolve, name) ? resolve[name] : undefined;
}

/** A failure of a backend, with the status that the client gets. */
export class BackendFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "BackendFailure";
    this.status = status;
  }
}

/** Sends until an attempt need not be repeated: by the retries of the rule, within the budget of the backend. */
export async function attempts<T extends { readonly status: number }>(
  table: Table,
  decision: Forward,
  canRepeat: boolean,
  send: (retry: number) => Promise<T>,
  discard: (answer: T) => void,
  now: () => number,
): Promise<T> {
  const retries = canRepeat ? (decision.retry?.attempts ?? 0) : 0;
  const codes = decision.retry?.codes ?? [];
  table.countRequest(decision.backendId, false, now());
  for (let retry = 0; ; retry++) {
    let failure: unknown;
    let answer: T | undefined;
    try {
      answer = await send(retry);
      if (!codes.includes(answer.status)) return answer;
    } catch (error) {
      failure = error;
    }
    if (retry >= retries || !table.countRequest(decision.backendId, true, now())) {
      if (answer !== undefined) return answer;
      throw failure;
    }
    if (answer !== undefined) discard(answer);
    await new Promise((resolve) => setTimeout(resolve, decision.retryPauseMs(retry)));
  }
}
