import { ask, engine } from "./engine.js";
import { GatewrightError, ManifestError } from "./errors.js";
import { Table, openNative } from "./table.js";
import type { Compiled, SharedTable } from "./table.js";
import type { CompileOptions, Diagnostic, NamedSource, Source } from "./types.js";

const encoder = new TextEncoder();

/**
 * Compiles manifests into a table. What is wrong in them is left out or answers as the specification says, and is reported by
 * `table.diagnostics()` and `table.status()`.
 *
 * @throws ManifestError for text that cannot be read as an object; `raiseOn` makes it stricter or milder.
 * @throws TypeError for options that are not what they should be.
 */
export function compile(source: Source | readonly Source[], options: CompileOptions = {}): Table {
  const list: readonly Source[] = Array.isArray(source) ? source : [source];
  return compileTexts(list.map((each, n) => named(each, Array.isArray(source) ? `input[${n}]` : "input")), options, []);
}

/** Opens a table that another thread has shared; see `Table.share`. */
export function openShared(shared: SharedTable): Table {
  if (typeof shared !== "object" || shared === null || !("gatewright" in shared)) throw new TypeError("this is nothing that `share()` gave");
  if (shared.sources !== undefined) return compileTexts(shared.sources, { ...(shared.options as CompileOptions), raiseOn: "never" }, []);
  if (shared.gatewright !== engine.name) throw new GatewrightError("GATEWRIGHT_CLOSED", "the table was shared by another engine");
  return openNative(shared);
}

/** @internal Compiles texts by name; `unreadable` are findings about files that are not among them. */
export function compileTexts(texts: readonly (readonly [string, Uint8Array])[], options: CompileOptions, unreadable: readonly Diagnostic[]): Table {
  if (typeof options !== "object" || options === null) throw new TypeError("`options` is an object");
  const { raiseOn = "unreadable", ...rest } = options;
  if (!["unreadable", "error", "never"].includes(raiseOn)) throw new TypeError("raiseOn: one of unreadable, error, never");
  ask("begin", 0);
  for (const [name, text] of texts) {
    const label = encoder.encode(name.replaceAll("\0", "\uFFFD") + "\0");
    const input = new Uint8Array(label.length + text.length);
    input.set(label);
    input.set(text, label.length);
    engine.call("add", 0, input);
  }
  const written = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const compiled = ask<Compiled & { broken: boolean; errors: boolean; gateways: number }>("finish", 0, written);
  const kept = engine.name === "wasm" ? { sources: texts, options: written } : undefined;
  const table = new Table(compiled, kept);
  const broken = compiled.broken || unreadable.length > 0;
  if (raiseOn !== "never" && (broken || (raiseOn === "error" && compiled.errors))) {
    const diagnostics = [...unreadable, ...table.diagnostics()];
    table.close();
    const first = diagnostics.find((each) => each.severity === "error");
    throw new ManifestError(`the manifests cannot be served: ${first?.text ?? "see diagnostics"}`, diagnostics);
  }
  return table;
}

function named(source: Source, name: string): readonly [string, Uint8Array] {
  if (typeof source === "string") return [name, encoder.encode(source)];
  if (source instanceof Uint8Array) return [name, source];
  if (typeof source !== "object" || source === null) throw new TypeError(`a manifest is a text, its octets or an object, not ${typeof source}`);
  if (isNamed(source)) return [String(source.name), typeof source.text === "string" ? encoder.encode(source.text) : source.text];
  const text = JSON.stringify(source);
  if (typeof text !== "string") throw new TypeError("a manifest is a text, its octets or an object that JSON can hold");
  return [name, encoder.encode(text)];
}

function isNamed(source: object): source is NamedSource {
  const { text, name } = source as Partial<NamedSource>;
  return typeof name === "string" && (typeof text === "string" || text instanceof Uint8Array) && !("kind" in source);
}
