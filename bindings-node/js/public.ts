/** What every entry of the package exports. */
export { compile, openShared } from "./compile.js";
export { Forward, PassThrough, Redirect, Respond } from "./decision.js";
export type { Answer, Client, Decision } from "./decision.js";
export { GatewrightError, ManifestError, PlaceError } from "./errors.js";
export { fromIncoming } from "./incoming.js";
export type { IncomingLike } from "./incoming.js";
export { Table } from "./table.js";
export type { SharedTable } from "./table.js";
export type * from "./types.js";
import { engine } from "./engine.js";

/** Which engine decides: the native library, or WebAssembly. */
export function engineName(): "native" | "wasm" {
  return engine.name;
}
