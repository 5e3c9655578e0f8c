/**
 * Header fields on their way into the engine: read from whatever form they come in, and written as `name:value` lines. Which
 * of them matter is the table's to say.
 */
import type { HeadersInput, RawHeaders } from "./types.js";

const hasOwn = Object.prototype.hasOwnProperty;
/** Spellings that are remembered; what is beyond is looked at anew each time. */
const SPELLINGS = 1024;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Which header fields are handed over, and in which spelling. */
export class Names {
  /** Lengths and first letters of the names that are wanted: most others are told by these. */
  readonly #may = new Uint8Array(1024);
  /** By spelling: the beginning of the line, or "" for a field that no decision looks at. */
  readonly #lines = new Map<string, string>();
  readonly #wanted: ReadonlySet<string> | undefined;

  /** `undefined` hands over all of them. */
  constructor(wanted: readonly string[] | undefined) {
    this.#wanted = wanted && new Set([...wanted, "host"]);
    if (wanted === undefined) this.#may.fill(1);
    else for (const name of this.#wanted!) this.#may[place(name)] = 1;
  }

  /** The beginning of the line of a field, its name and a colon; "" for a field that is not wanted. */
  line(name: string): string {
    if (typeof name !== "string") throw noName(name);
    // A name of any case has the same length and, but for its case, the same first letter.
    if (name.length !== 0 && this.#may[place(name)] === 0) return "";
    return this.#lines.get(name) ?? this.#learn(name);
  }

  #learn(name: string): string {
    if (!TOKEN.test(name)) throw noName(name);
    const lower = name.toLowerCase();
    const line = this.#wanted === undefined || this.#wanted.has(lower) ? `${lower}:` : "";
    if (this.#lines.size < SPELLINGS) this.#lines.set(name, line);
    return line;
  }
}

function place(name: string): number {
  return ((name.length & 31) << 5) | (name.charCodeAt(0) & 31);
}

function noName(name: unknown): TypeError {
  return new TypeError(`${typeof name === "string" ? `\`${name.slice(0, 64)}\`` : `a ${typeof name}`} is no name of a header field`);
}

/** What was read: the only `Host`, the other lines, and their number. */
export interface Read {
  host: string | undefined;
  lines: string;
  count: number;
}

function add(to: Read, line: string, value: unknown): void {
  if (typeof value !== "string") throw new TypeError(`the value of header field ${line.slice(0, -1)} is no text but ${typeof value}`);
  if (line === "host:" && to.host === undefined) {
    to.host = value;
    return;
  }
  const whole = lineOf(line, value);
  to.lines = to.count === 0 ? whole : to.lines + whole;
  to.count++;
}

/** Lines that are remembered. What matches compare has few values, and a text in one piece is read faster than one of three. */
const LINES = 256;
const remembered = new Map<string, Map<string, string>>();

function lineOf(line: string, value: string): string {
  const known = remembered.get(line)?.get(value);
  if (known !== undefined) return known;
  const whole = `${line}${value}\n`;
  if (value.length <= 32) {
    let values = remembered.get(line);
    if (values === undefined && remembered.size < LINES) remembered.set(line, (values = new Map()));
    if (values !== undefined && values.size < LINES) values.set(value, whole);
  }
  return whole;
}

/** Reads the fields that `names` wants. */
export function readFields(headers: HeadersInput, names: Names): Read {
  // One for each call: getters of the headers may decide other requests.
  const read: Read = { host: undefined, lines: "", count: 0 };
  if (typeof headers !== "object" || headers === null) throw new TypeError("`headers` is an object: Headers, a record or a list of pairs");
  if (Array.isArray(headers)) {
    for (let n = 0; n < headers.length; n++) {
      const pair = headers[n] as readonly [string, string];
      if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError("`headers` as a list has pairs of name and value");
      const line = names.line(pair[0]);
      if (line !== "") add(read, line, pair[1]);
    }
  } else if (Array.isArray((headers as Partial<RawHeaders>).rawHeaders)) {
    const list = (headers as RawHeaders).rawHeaders;
    if (list.length % 2 !== 0) throw new TypeError("`rawHeaders` has names and values in turn");
    for (let n = 0; n < list.length; n += 2) {
      const line = names.line(list[n]!);
      if (line !== "") add(read, line, list[n + 1]);
    }
  } else if (isHeaders(headers)) {
    for (const [name, value] of headers) {
      const line = names.line(name);
      if (line !== "") add(read, line, value);
    }
  } else {
    for (const name in headers as Record<string, unknown>) {
      const line = names.line(name);
      // What a prototype has is no field of the request.
      if (line === "" || !hasOwn.call(headers, name)) continue;
      const value: unknown = (headers as Record<string, unknown>)[name];
      if (typeof value === "string") add(read, line, value);
      else if (Array.isArray(value)) for (const each of value) add(read, line, each);
      else if (value !== undefined) add(read, line, value);
    }
  }
  return read;
}

/** All fields as pairs, for messages that are edited. */
export function pairsOf(headers: HeadersInput): [string, string][] {
  const { host, lines, count } = readFields(headers, every);
  const pairs = lines.split("\n").slice(0, -1).map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1)];
  });
  if (pairs.length !== count) throw new TypeError("the value of a header field has a line feed");
  return host === undefined ? pairs : [["host", host], ...pairs];
}

/** All of them. */
export const every = new Names(undefined);

function isHeaders(headers: object): headers is Headers {
  return typeof (headers as Partial<Headers>).get === "function" && Symbol.iterator in headers;
}
