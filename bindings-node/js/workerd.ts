/** The entry for workers that import WebAssembly as a module, as Cloudflare's do. */
import { useEngine } from "./engine.js";
import { wasmEngine } from "./wasm.js";
// @ts-expect-error the runtime gives a compiled module
import module from "./gatewright.wasm";

useEngine(wasmEngine(module as WebAssembly.Module));

export * from "./public.js";
