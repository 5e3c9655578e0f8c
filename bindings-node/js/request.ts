/** A request, as it crosses the boundary: target, host, and one text of lines with everything else that a decision depends on. */
import { every, readFields } from "./fields.js";
import type { Names } from "./fields.js";
import type { DecideOptions, RequestInput } from "./types.js";

/** The parts of a request. */
export interface Written {
  /** Three bits: the method, or 7; one bit: there is a host; the rest: the number of lines. */
  readonly bits: number;
  readonly target: string;
  /** The only `Host` field. */
  readonly host: string | undefined;
  /** The other header fields as `name:value`, and what few requests have behind an octet that no name begins with. */
  readonly lines: string;
}

const AUTHORITY = "\x01";
const SNI = "\x02";
const METHOD = "\x03";

/** Writes a request, with the fields that `names` wants. */
export function writtenOf(request: Request | RequestInput, options: DecideOptions, names: Names = every): Written {
  const input = request as RequestInput;
  const method = input.method;
  let target = input.url;
  if (typeof method !== "string" || typeof target !== "string") throw new TypeError("a request has `method` and `url` as text, and `headers`");
  // What stands behind `#` is never sent; a web `Request` has it all the same.
  if (typeof (request as Partial<Request>).arrayBuffer === "function") target = withoutFragment(target);
  const read = readFields(input.headers, names);
  const host = read.host;
  let { lines, count } = read;
  const number = numberOf(method);
  const authority = options.authority ?? input.authority;
  const sni = options.sni ?? input.sni;
  if (number === 7) (lines += marked(METHOD, method, "method")), count++;
  if (authority !== undefined) (lines += marked(AUTHORITY, authority, "authority")), count++;
  if (sni !== undefined) (lines += marked(SNI, sni, "sni")), count++;
  return { bits: number | (host === undefined ? 0 : 8) | (count << 4), target, host, lines };
}

function numberOf(method: string): number {
  switch (method) {
    case "GET": return 0;
    case "POST": return 1;
    case "HEAD": return 2;
    case "PUT": return 3;
    case "DELETE": return 4;
    case "OPTIONS": return 5;
    case "PATCH": return 6;
    default: return 7;
  }
}

/** A line feed would end the line: it is refused by whoever reads the lines, since there is one more than is said. */
function marked(mark: string, value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`\`${name}\` is a text`);
  return `${mark}${value}\n`;
}

function withoutFragment(url: string): string {
  const at = url.indexOf("#");
  return at < 0 ? url : url.slice(0, at);
}
