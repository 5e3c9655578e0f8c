/**
 * The plain data of this package. Durations are milliseconds, words are string unions, and everything is read-only. The shapes
 * are those of `gatewright decide -o json` and its siblings.
 */

/** Group, kind, namespace and name of a Kubernetes object. */
export interface ObjectRef {
  /** API group; empty is the core group. */
  readonly group: string;
  readonly kind: string;
  /** Absent for kinds without namespace. */
  readonly namespace?: string;
  readonly name: string;
}

/** TLS towards a backend. */
export interface BackendTls {
  /** Server name to send, and to verify unless there are other names. */
  readonly hostname: string;
  /** Names of which the certificate must have one. */
  readonly subjectAltNames?: readonly string[];
  /** ConfigMaps with the authorities that are trusted; absent are those of the operating system. */
  readonly caCertificates?: readonly ObjectRef[];
  /** Secret with the certificate to show. */
  readonly clientCertificate?: ObjectRef;
}

/** Bound on the retries of a backend. */
export interface RetryBudget {
  /** Retries for a hundred requests. */
  readonly percent: number;
  /** Time over which they are counted. */
  readonly intervalMs: number;
  /** Retries that are always allowed. */
  readonly minCount: number;
  /** Time over which these are counted. */
  readonly minIntervalMs: number;
}

/** Where a request goes. */
export interface Backend {
  readonly kind: "Service" | "ServiceImport" | "XBackend";
  readonly namespace: string;
  readonly name: string;
  /** Port of the Service. */
  readonly port: number;
  readonly protocol: "http1" | "h2c" | "tcp" | "udp";
  /** For an XBackend: the host outside of the cluster. */
  readonly host?: string;
  /** TLS to speak to it; nothing is sent without. */
  readonly tls?: BackendTls;
  readonly retryBudget?: RetryBudget;
}

/** A backend with the addresses that the manifests say it has. */
export interface BackendInfo extends Backend {
  /** Number in this table. */
  readonly id: number;
  /** Ready endpoints of its EndpointSlices; absent when there is none: find it by its DNS name. */
  readonly endpoints?: readonly Endpoint[];
}

/** One endpoint of a Service. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One edit of a header field. */
export interface HeaderEdit {
  readonly action: "set" | "add" | "remove";
  /** In lower case. */
  readonly name: string;
  readonly value?: string;
}

/** Retries that a rule asks for. */
export interface Retry {
  /** Number of retries. */
  readonly attempts: number;
  /** Response codes that are retried. */
  readonly codes: readonly number[];
  /** Least pause between them. */
  readonly backoffMs?: number;
}

/** Session persistence that a rule or a policy asks for. */
export interface Session {
  readonly carrier: "cookie" | "header";
  /** Name of the cookie or field. */
  readonly name: string;
  /** Longest life. */
  readonly absoluteTimeoutMs?: number;
  /** Whether the cookie outlives the browser's session. */
  readonly permanent: boolean;
}

/** A service that is asked before anything else is done; a request that it does not allow goes nowhere. */
export interface ExternalAuth {
  readonly protocol: "http" | "grpc";
  readonly backend: Backend;
  /** What stands before the path that an HTTP service is asked about. */
  readonly pathPrefix?: string;
  /** Fields that the service gets beside the fixed ones. */
  readonly requestHeaders?: readonly string[];
  /** Fields of its answer that are copied into the request; absent are all. */
  readonly responseHeaders?: readonly string[];
  /** Octets of the body that it gets at most; 0 is no body. */
  readonly maxBody: number;
}

/** What matched. */
export interface Matched {
  /** `namespace/name` of the Gateway. */
  readonly gateway?: string;
  /** Name of the listener. */
  readonly listener?: string;
  /** `namespace/name` of the ListenerSet that has the listener, if it is not the Gateway's own. */
  readonly listenerSet?: string;
  /** In a mesh: `namespace/name:port` of the Service. */
  readonly service?: string;
  readonly route: ObjectRef;
  /** Index in `spec.rules`. */
  readonly rule: number;
  readonly ruleName?: string;
  /** Index in `matches`. */
  readonly match: number;
}

/** A decision as `toJSON()` gives it: `docs/json.md` of the project. */
export type DecisionJson =
  | ({ readonly decision: "forward" } & Matched & {
        readonly backend: Backend;
        readonly target: string;
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
      })
  | ({ readonly decision: "redirect" } & Matched & {
        readonly status: number;
        readonly location: string;
        readonly responseHeaders?: readonly HeaderEdit[];
        readonly auth?: ExternalAuth;
        readonly extensions?: readonly ObjectRef[];
      })
  | ({ readonly decision: "respond" } & Partial<Matched> & {
        readonly status: number;
        readonly grpcStatus?: number;
        readonly reason: string;
        readonly message: string;
        readonly responseHeaders?: readonly HeaderEdit[];
        readonly auth?: ExternalAuth;
        readonly extensions?: readonly ObjectRef[];
      })
  | { readonly decision: "passThrough"; readonly message: string };

/** What is to be done with a connection, or with the first datagram of a flow. */
export type ConnectionDecision =
  | { readonly decision: "http"; readonly listener?: string }
  | {
      readonly decision: "forward";
      readonly parent: string;
      readonly route: ObjectRef;
      readonly ruleName?: string;
      readonly backend: Backend;
      readonly tls: "none" | "passthrough" | "terminate";
    }
  | {
      readonly decision: "reject";
      readonly parent?: string;
      readonly route?: ObjectRef;
      readonly reason: string;
      readonly message: string;
    }
  | { readonly decision: "passThrough"; readonly message: string };

/** Why a request is decided as it is. */
export interface Explanation {
  /** Method, host and canonical target, as they were matched. */
  readonly request: string;
  readonly listener?: string;
  readonly decision: DecisionJson;
  /** The criterion that made the winner win. */
  readonly wonBy?: string;
  /** Every match of the listener whose hostname covers the host, in order of precedence. */
  readonly candidates: readonly Candidate[];
  /** What came nearest when nothing matched. */
  readonly nearest?: string;
  readonly otherHostnames: readonly string[];
  /** Header fields that are neither matched nor forwarded. */
  readonly droppedHeaders?: readonly string[];
  readonly options?: readonly { readonly name: string; readonly value: string }[];
}

/** One match that could have won. */
export interface Candidate extends Matched {
  /** The hostname it is found under; `*` is any. */
  readonly hostname: string;
  readonly conditions: string;
  readonly verdict:
    | { readonly result: "won" }
    | { readonly result: "lost"; readonly criterion: string }
    | { readonly result: "failed"; readonly condition: string; readonly found: string };
}

/** Why a connection is decided as it is. */
export interface ConnectionExplanation {
  readonly serverName?: string;
  readonly parent?: string;
  readonly decision: ConnectionDecision;
  readonly candidates: readonly { readonly route: ObjectRef; readonly hostname: string; readonly won: boolean }[];
  readonly others: readonly string[];
}

/** A finding about the manifests. */
export interface Diagnostic {
  readonly severity: "error" | "warning" | "info";
  /** A stable word, `GW…`; `IO` for a file that cannot be read. */
  readonly code: string;
  readonly object?: ObjectRef;
  /** Path of the field, for instance `spec.rules[2].matches[0].path.value`. */
  readonly path?: string;
  /** Line and column start at 1. */
  readonly position?: { readonly file: string; readonly line: number; readonly column: number };
  readonly message: string;
  readonly found?: string;
  readonly expected?: string;
  /** What follows from it. */
  readonly outcome?: string;
  readonly help?: string;
  /** All of it in one line, for a person. */
  readonly text: string;
}

/** A listener of a Gateway or ListenerSet. */
export interface Listener {
  readonly name: string;
  /** `namespace/name` of the Gateway. */
  readonly gateway: string;
  /** `namespace/name` of the ListenerSet that has it, if it is not the Gateway's own. */
  readonly listenerSet?: string;
  readonly port: number;
  readonly protocol: "http" | "https" | "tlsTerminate" | "tlsPassthrough" | "tcp" | "udp";
  /** Absent accepts any host. */
  readonly hostname?: string;
  /** Whether it can be served: false when a certificate is missing. */
  readonly programmed: boolean;
}

/** A Gateway with its ports. */
export interface Gateway {
  /** `namespace/name`. */
  readonly name: string;
  readonly object: ObjectRef;
  readonly ports: readonly {
    readonly number: number;
    readonly protocol: "http" | "tls" | "tcp" | "udp";
    readonly listeners: readonly Listener[];
  }[];
}

/** A match at one hostname of one parent, in the order in which the table decides. */
export interface RoutingRow extends Matched {
  /** Port of the Gateway; 0 in a mesh. */
  readonly port: number;
  /** `*` is any. */
  readonly hostname: string;
  /** Absent for connections. */
  readonly conditions?: string;
  /** Backends with their weights, a redirect, or 500. */
  readonly action: string;
}

/** A condition of an object, a listener or a parentRef. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
}

/** A condition and whose it is. */
export interface ObjectCondition extends Condition {
  readonly object: ObjectRef;
  /** Of a listener of the object. */
  readonly listener?: string;
  /** Of a parentRef or ancestorRef of the object, as it is written. */
  readonly parent?: Readonly<Record<string, unknown>>;
}

/** An object with the status that a controller writes back, as in its CRD. */
export interface ObjectStatus {
  readonly object: ObjectRef;
  readonly status: Readonly<Record<string, unknown>>;
}

/** The status of every object, each list sorted by namespace and name. */
export interface Status {
  readonly gatewayClasses: readonly ObjectStatus[];
  readonly gateways: readonly ObjectStatus[];
  readonly listenerSets: readonly ObjectStatus[];
  readonly httpRoutes: readonly ObjectStatus[];
  readonly grpcRoutes: readonly ObjectStatus[];
  readonly tlsRoutes: readonly ObjectStatus[];
  readonly tcpRoutes: readonly ObjectStatus[];
  readonly udpRoutes: readonly ObjectStatus[];
  readonly backendTlsPolicies: readonly ObjectStatus[];
  readonly backendTrafficPolicies: readonly ObjectStatus[];
  readonly backends: readonly ObjectStatus[];
  readonly meshes: readonly ObjectStatus[];
}

/** Options of `compile` and `load`. What gateways answer differently is explained in the project's DESIGN.md. */
export interface CompileOptions {
  /** The controller whose GatewayClasses are served; absent serves every Gateway. */
  readonly controller?: string;
  /** What a backendRef to a Service means that is not part of the input. Default `infer`: it exists, unless the input has some Service of that namespace. */
  readonly missingServices?: "infer" | "assume" | "not-found";
  /** Features that the program does not carry out: manifests that use them are told so, and never served without. */
  readonly withoutFeatures?: readonly string[];
  /** The addresses that Gateways can be given. */
  readonly addresses?: readonly { readonly type?: string; readonly value: string }[];
  /** Ports that the host cannot open. */
  readonly unavailablePorts?: readonly number[];
  /** The objects behind ExtensionRef filters that the program knows how to run; a rule with any other answers 500. */
  readonly extensions?: readonly {
    readonly group?: string;
    readonly kind: string;
    readonly namespace?: string;
    readonly name: string;
    readonly services?: readonly { readonly name: string; readonly port: number }[];
  }[];
  /** Which addresses of EndpointSlices traffic may be sent to. Default `other-hosts`. */
  readonly endpointAddresses?: "other-hosts" | "any";
  /** What throws a `ManifestError`. Default `unreadable`: text that is no object, or a file that cannot be read. */
  readonly raiseOn?: "unreadable" | "error" | "never";

  readonly profile?: "strict" | "compatible" | "raw";
  readonly mergeSlashes?: boolean;
  readonly escapedSlashes?: "reject" | "keep-unchanged" | "unescape-and-redirect" | "unescape-and-forward";
  readonly pathParameters?: "opaque" | "match-stripped" | "reject";
  readonly aliasHeaders?: "drop" | "reject" | "keep";
  readonly pathRegex?: "full" | "prefix" | "search";
  readonly valueRegex?: "full" | "prefix" | "search";
  readonly regexRank?: "between-exact-and-prefix" | "after-prefix" | "before-root" | "by-length";
  readonly hostnameFallback?: "broader" | "none";
  readonly repeatedHeaders?: "any-line" | "any-line-or-joined";
  readonly repeatedQuery?: "first" | "last" | "any";
  readonly queryDecoding?: "form" | "raw";
  readonly nameOrder?: "joined" | "tuple";
  readonly httpAndGrpc?: "separate" | "merge";
  readonly modifierConflicts?: "reject" | "set-add-remove";
  readonly preflights?: "by-requested-method" | "as-matched";
  readonly redirectPort?: "listener" | "host";
}

/** A text with the name that diagnostics call it by. */
export interface NamedSource {
  readonly name: string;
  readonly text: string | Uint8Array;
}

/** Manifests: YAML or JSON as text or its octets, or an object as a parser gives it. */
export type Source = string | Uint8Array | NamedSource | object;

/** Header fields in any of the forms that programs have them in. Text is octets: code units up to 0xFF. */
export type HeadersInput =
  | Headers
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | readonly (readonly [string, string])[]
  | RawHeaders;

/** Names and values in turn, as `IncomingMessage.rawHeaders`: order and repeated fields are kept. */
export interface RawHeaders {
  readonly rawHeaders: readonly string[];
}

/** What a request says of itself. */
export interface RequestInput {
  readonly method: string;
  /** Origin form (`/path?query`, with a `Host` field) or absolute form, **as it came**: never through `new URL`, which decodes and resolves, so that another request would be decided. */
  readonly url: string;
  readonly headers: HeadersInput;
  /** `:authority` of HTTP/2 and HTTP/3. */
  readonly authority?: string;
  /** The scheme that the client named, `:scheme` of HTTP/2; takes the place of the url's own. */
  readonly scheme?: string;
  readonly httpVersion?: string;
  /** Server name of the TLS handshake. */
  readonly sni?: string;
}

/** Where something arrives. */
export interface PlaceOptions {
  /** `namespace/name`; absent is the only one. */
  readonly gateway?: string;
  /** Absent is the only port of the Gateway, else the first one of the request's scheme. */
  readonly port?: number;
  /** The listener that the TLS handshake chose, by name; takes the place of `sni`. */
  readonly listener?: string;
  /** `namespace/name` of the ListenerSet that has the listener, if it is not the Gateway's own. */
  readonly listenerSet?: string;
  /** In a mesh: the Service as `namespace/name`, together with `client`. */
  readonly service?: string;
  /** In a mesh: the namespace of the client. */
  readonly client?: string;
  /** Server name of the TLS handshake. Absent is the host that a request asks for, as every client of TLS names it; empty is none. */
  readonly sni?: string;
  /** Chooses among weighted backends and mirrors: 0 to 2^64-1. Absent is random. */
  readonly pick?: bigint | number;
}

/** Options of `decide` and `explain`; they take the place of what the request says of itself. */
export interface DecideOptions extends PlaceOptions {
  readonly authority?: string;
  readonly scheme?: string;
  readonly httpVersion?: string;
  /** Keys that seal and open the tokens of sessions. Without them no request is pinned. */
  readonly sessions?: SessionKeys;
}

/** Options of `decideConnection`. */
export interface ConnectionOptions extends PlaceOptions {
  /** What arrives. Default `tls` with `sni`, else `tcp`. */
  readonly transport?: "tls" | "tcp" | "udp";
}

/** Keys of session tokens. Every instance of a gateway needs the same ones. */
export interface SessionKeys {
  /** The first one seals, all open. `id` is 0 to 255, `secret` 32 random octets. */
  readonly keys: readonly { readonly id: number; readonly secret: Uint8Array }[];
  /** Seconds since 1970; absent is now. */
  readonly now?: number;
}
