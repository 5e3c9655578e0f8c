import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import type { Engine } from "./engine.js";
import { GatewrightError } from "./errors.js";
import { wasmEngine } from "./wasm.js";

declare const VERSION: string;

/** The name of the package that has the library for this platform; `undefined` where there is none. */
function platformPackage(): string | undefined {
  const { platform, arch } = process;
  if (platform === "linux") return `gatewright-linux-${arch}-${isMusl() ? "musl" : "gnu"}`;
  if (platform === "darwin") return `gatewright-darwin-${arch}`;
  if (platform === "win32") return `gatewright-win32-${arch}-msvc`;
  return undefined;
}

function isMusl(): boolean {
  const report = process.report?.getReport() as unknown as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime === undefined;
}

/**
 * The native library where the platform's package is installed and is of this version, else WebAssembly.
 * `GATEWRIGHT_ENGINE=native` or `=wasm` asks for one of them.
 */
export function nodeEngine(require: ReturnType<typeof createRequire>, wasm: string | URL): Engine {
  const wanted = process.env.GATEWRIGHT_ENGINE;
  const name = wanted === "wasm" ? undefined : platformPackage();
  let cause: unknown;
  if (name !== undefined) {
    try {
      // Another version would be another interface.
      const version = (require(`${name}/package.json`) as { version: string }).version;
      if (version !== VERSION) throw new Error(`${name} is of version ${version}, and ${VERSION} is needed`);
      return { ...(require(name) as Omit<Engine, "name">), name: "native" };
    } catch (error) {
      cause = error;
    }
  }
  if (wanted === "native") {
    throw new GatewrightError("GATEWRIGHT_ENGINE", `no native library for ${process.platform} ${process.arch}`, { cause });
  }
  return wasmEngine(new WebAssembly.Module(readFileSync(wasm)));
}
