/** The entry for browsers: WebAssembly, fetched from beside this file. */
import { useEngine } from "./engine.js";
import { wasmEngine } from "./wasm.js";

const source = new URL("./gatewright.wasm", import.meta.url);
useEngine(wasmEngine(await WebAssembly.compile(await (await fetch(source)).arrayBuffer())));

export * from "./public.js";
