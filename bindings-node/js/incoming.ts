import type { RequestInput, RawHeaders } from "./types.js";

/** The part of `http.IncomingMessage` and `http2.Http2ServerRequest` that is read. */
export interface IncomingLike {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly socket?: unknown;
}

/**
 * A request of `node:http` or `node:http2` as it came over the wire: by `rawHeaders`, so with the order and the repeated lines
 * that `headers` has lost; with `:authority` and `:scheme` of HTTP/2, and the server name of the TLS handshake.
 */
export function fromIncoming(request: IncomingLike): RequestInput {
  const { rawHeaders, httpVersion } = request;
  const sni = serverName(request.socket);
  const fields: { method: string; url: string; headers: RawHeaders; httpVersion: string; sni?: string; authority?: string; scheme?: string } = {
    method: request.method ?? "",
    url: request.url ?? "",
    headers: { rawHeaders },
    httpVersion,
  };
  if (sni !== undefined) fields.sni = sni;
  if (httpVersion.startsWith("2")) {
    const kept: string[] = [];
    for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
      const [name, value] = [rawHeaders[n]!, rawHeaders[n + 1]!];
      if (name === ":authority") fields.authority = value;
      else if (name === ":scheme") fields.scheme = value;
      else if (!name.startsWith(":")) kept.push(name, value);
    }
    fields.headers = { rawHeaders: kept };
  }
  return fields;
}

/** Of TLS the name of the handshake, empty if there was none; without TLS undefined. */
function serverName(socket: unknown): string | undefined {
  const { encrypted, servername } = (socket ?? {}) as { encrypted?: unknown; servername?: unknown };
  if (typeof servername === "string" && servername !== "") return servername;
  return encrypted === true ? "" : undefined;
}
