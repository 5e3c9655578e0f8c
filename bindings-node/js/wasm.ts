import type { Engine } from "./engine.js";

interface Exports {
  readonly memory: WebAssembly.Memory;
  gatewright_shared(): number;
  gatewright_decide(place: number, bits: number, target: number, host: number, lines: number, pick: number): number;
  gatewright_input(length: number): number;
  gatewright_call(name: number, handle: number): number;
  gatewright_output(): number;
}

/** Octets that stand at the beginning of the memory that is shared: the numbers; and those of requests behind them. */
const NUMBERS = 24;
const OCTETS = 8192;

/** The engine in WebAssembly. The module imports nothing. */
export function wasmEngine(module: WebAssembly.Module): Engine {
  const wasm = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const shared = wasm.gatewright_shared();
  let octets = new Uint8Array(wasm.memory.buffer, shared + NUMBERS, OCTETS);
  let written = new Uint32Array(wasm.memory.buffer, shared, NUMBERS / 4);
  const numbers = new Uint32Array(NUMBERS / 4);

  /** Memory that grows is another buffer, and the former one has no length any more. */
  function look(): void {
    octets = new Uint8Array(wasm.memory.buffer, shared + NUMBERS, OCTETS);
    written = new Uint32Array(wasm.memory.buffer, shared, NUMBERS / 4);
  }

  return {
    name: "wasm",
    numbers,
    decide(place, bits, target, host, lines, pick) {
      if (octets.length === 0) look();
      const to = octets;
      let at = 0;
      let all = 0;
      for (let n = 0; n < target.length; n++) all |= to[at++] = target.charCodeAt(n);
      if (host !== undefined) for (let n = 0; n < host.length; n++) all |= to[at++] = host.charCodeAt(n);
      for (let n = 0; n < lines.length; n++) all |= to[at++] = lines.charCodeAt(n);
      if (all > 0xff) return -2;
      const kind = wasm.gatewright_decide(place, bits, target.length, host === undefined ? 0 : host.length, lines.length, pick);
      if (written.length === 0) look();
      for (let n = 0; n < NUMBERS / 4; n++) numbers[n] = written[n]!;
      return kind;
    },
    call(operation, handle, bytes) {
      const name = encoder.encode(operation);
      const input = wasm.gatewright_input(name.length + bytes.length);
      const memory = new Uint8Array(wasm.memory.buffer);
      memory.set(name, input);
      memory.set(bytes, input + name.length);
      const length = wasm.gatewright_call(name.length, handle);
      return decoder.decode(new Uint8Array(wasm.memory.buffer, wasm.gatewright_output(), length));
    },
  };
}
