/** The entry for Node.js: the native library where there is one, else WebAssembly. */
import { useEngine } from "./engine.js";
import { nodeEngine } from "./native.js";

declare const require: Parameters<typeof nodeEngine>[0];
declare const __dirname: string;

useEngine(nodeEngine(require, `${__dirname}/gatewright.wasm`));

export { load, watch } from "./files.js";
export type { WatchEvent, WatchOptions, Watcher } from "./files.js";
export * from "./public.js";
