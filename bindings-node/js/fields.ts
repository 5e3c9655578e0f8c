/**
 * Header fields on their way into the engine: read from whatever form they come in, and written as `name:value` lines. Which
 * of them matter is the table's to say.
 */
import type { HeadersInput, RawHeaders } from "./types.js";

/** Spellings that are remembered; what is beyond is looked at anew each time. */
const SPELLINGS = 1024;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Which header fields are handed over, and in which spelling. */
export class Names {
  /** By spelling: the beginning of the line, or "" for a field that no decision looks at. */
  readonly #lines = new Map<string, string>();
  readonly #wanted: ReadonlySet<string> | undefined;

  /** `undefined` hands over all of them. */
  constructor(wanted: readonly string[] | undefined) {
    this.#wanted = wanted && new Set([...wanted, "host"]);
  }

  /** The beginning of the line of a field: its name and a colon. */
  line(name: string): string {
    return this.#lines.get(name) ?? this.#learn(name);
  }

  #learn(name: string): string {
    if (typeof name !== "string" || !TOKEN.test(name)) throw new TypeError(`${quoted(name)} is no name of a header field`);
    const lower = name.toLowerCase();
    const line = this.#wanted === undefined || this.#wanted.has(lower) ? `${lower}:` : "";
    if (this.#lines.size < SPELLINGS) this.#lines.set(name, line);
    return line;
  }
}

/** A number of lines. Shared, since a new object for each request would cost more than the lines. */
export const lines = { text: "", count: 0 };

/** Reads the fields that `names` wants into `lines`. */
export function readFields(headers: HeadersInput, names: Names): void {
  let text = "";
  let count = 0;
  if (typeof headers !== "object" || headers === null) throw new TypeError("`headers` is an object: Headers, a record or a list of pairs");
  if (Array.isArray(headers)) {
    for (let n = 0; n < headers.length; n++) {
      const pair = headers[n] as readonly [string, string];
      if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError("`headers` as a list has pairs of name and value");
      const line = names.line(pair[0]);
      if (line === "") continue;
      text += line + valueOf(pair[1], line) + "\n";
      count++;
    }
  } else if (isRaw(headers)) {
    const list = headers.rawHeaders;
    if (!Array.isArray(list) || list.length % 2 !== 0) throw new TypeError("`rawHeaders` has names and values in turn");
    for (let n = 0; n < list.length; n += 2) {
      const line = names.line(list[n] as string);
      if (line === "") continue;
      text += line + valueOf(list[n + 1], line) + "\n";
      count++;
    }
  } else if (isHeaders(headers)) {
    for (const [name, value] of headers) {
      const line = names.line(name);
      if (line === "") continue;
      text += line + valueOf(value, line) + "\n";
      count++;
    }
  } else {
    for (const name in headers as Record<string, unknown>) {
      const line = names.line(name);
      // What a prototype has is no field of the request.
      if (line === "" || !Object.hasOwn(headers, name)) continue;
      const value: unknown = (headers as Record<string, unknown>)[name];
      if (typeof value === "string") {
        text += line + value + "\n";
        count++;
      } else if (Array.isArray(value)) {
        for (const each of value) {
          text += line + valueOf(each, line) + "\n";
          count++;
        }
      } else if (value !== undefined) {
        valueOf(value, line);
      }
    }
  }
  lines.text = text;
  lines.count = count;
}

/** All fields as pairs, for messages that are edited. */
export function pairsOf(headers: HeadersInput): [string, string][] {
  readFields(headers, every);
  const pairs = lines.text.split("\n").slice(0, -1).map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
  if (pairs.length !== lines.count) throw new TypeError("the value of a header field has a line feed");
  return pairs;
}

const every = new Names(undefined);

function isRaw(headers: object): headers is RawHeaders {
  return Array.isArray((headers as Partial<RawHeaders>).rawHeaders);
}

function isHeaders(headers: object): headers is Headers {
  return typeof (headers as Partial<Headers>).get === "function" && Symbol.iterator in headers;
}

function valueOf(value: unknown, line: string): string {
  if (typeof value !== "string") throw new TypeError(`the value of header field ${line.slice(0, -1)} is no text but ${typeof value}`);
  return value;
}

function quoted(value: unknown): string {
  return typeof value === "string" ? `\`${value.slice(0, 64)}\`` : `a ${typeof value}`;
}
