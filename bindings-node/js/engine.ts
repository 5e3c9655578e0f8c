/**
 * The two doors of the compiled crate, as one: Node-API or WebAssembly. An entry of the package chooses one before anything
 * else is done.
 */
import { PlaceError } from "./errors.js";

export interface Engine {
  readonly name: "native" | "wasm";
  /** Everything but the hot path: an operation, a table or place, and JSON on both sides. */
  call(operation: string, handle: number, input: Uint8Array): string;
  /** Decides one request. Gives the kind; what else there is stands in `numbers`. Negative when the request cannot be decided. */
  decide(place: number, bits: number, target: string, host: string | undefined, lines: string, pick: number): number;
  /** Of the last decision: match, backend, parent, reason, octets of the path, flags. */
  readonly numbers: Uint32Array;
}

/** Code units of a request that `decide` takes; longer ones go as JSON. */
export const ROOM = 8190;

/** The engine of this thread. */
export let engine: Engine;

export function useEngine(chosen: Engine): void {
  engine = chosen;
}

const encoder = new TextEncoder();
const nothing = new Uint8Array(0);

/** Calls an operation with a value, and gives its answer. */
export function ask<T>(operation: string, handle: number, value?: unknown): T {
  const input = value === undefined ? nothing : encoder.encode(JSON.stringify(value));
  const answer = JSON.parse(engine.call(operation, handle, input)) as T | Failure;
  if (typeof answer === "object" && answer !== null && "error" in answer && "kind" in answer) throw failed(answer as Failure);
  return answer as T;
}

interface Failure {
  readonly error: string;
  readonly kind: "place" | "type";
}

function failed({ error, kind }: Failure): Error {
  return kind === "place" ? new PlaceError(error) : new TypeError(error);
}
