import type { Engine } from "./engine.js";

interface Exports {
  readonly memory: WebAssembly.Memory;
  gatewright_input(length: number): number;
  gatewright_numbers(): number;
  gatewright_decide(place: number, length: number, lengths: number, pick: number): number;
  gatewright_call(name: number, handle: number): number;
  gatewright_output(): number;
}

/** Octets that the input has room for from the start: more than most requests have. */
const ROOM = 4096;

/** The engine in WebAssembly. The module imports nothing. */
export function wasmEngine(module: WebAssembly.Module): Engine {
  const wasm = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const numbers = new Uint32Array(6);
  let memory = new Uint8Array(wasm.memory.buffer);
  let written = new Uint32Array(wasm.memory.buffer, wasm.gatewright_numbers(), 6);
  let input = wasm.gatewright_input(ROOM);
  let room = ROOM;

  /** Memory that grows is another buffer. */
  function look(): void {
    if (memory.buffer !== wasm.memory.buffer) {
      memory = new Uint8Array(wasm.memory.buffer);
      written = new Uint32Array(wasm.memory.buffer, wasm.gatewright_numbers(), 6);
    }
  }

  function reserve(length: number): void {
    input = wasm.gatewright_input(length);
    room = length;
    look();
  }

  return {
    name: "wasm",
    numbers,
    call(operation, handle, bytes) {
      const name = encoder.encode(operation);
      reserve(name.length + bytes.length);
      memory.set(name, input);
      memory.set(bytes, input + name.length);
      const length = wasm.gatewright_call(name.length, handle);
      look();
      const output = wasm.gatewright_output();
      const answer = decoder.decode(memory.subarray(output, output + length));
      // The call has taken the input with it.
      reserve(ROOM);
      return answer;
    },
    decide(place, head, lengths, pick) {
      const length = head.length;
      if (length > room) reserve(length);
      const at = input;
      const octets = memory;
      let all = 0;
      for (let n = 0; n < length; n++) {
        const unit = head.charCodeAt(n);
        all |= unit;
        octets[at + n] = unit;
      }
      if (all > 0xff) return -2;
      const kind = wasm.gatewright_decide(place, length, lengths, pick);
      look();
      numbers.set(written);
      return kind;
    },
  };
}
