/** Manifests from files and folders. Which entries of a folder are manifests is asked of the engine. */
import { createHash } from "node:crypto";
import { watch as watchFolder, readFileSync, readdirSync, realpathSync, statSync } from "node:fs";
import type { FSWatcher } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { compileTexts } from "./compile.js";
import { ask } from "./engine.js";
import { ManifestError } from "./errors.js";
import type { Table } from "./table.js";
import type { CompileOptions, Diagnostic } from "./types.js";

interface Read {
  readonly texts: [string, Uint8Array][];
  readonly errors: Diagnostic[];
  readonly hash: string;
}

/**
 * Loads files, and folders with all that is below them: `*.yaml`, `*.yml` and `*.json`, and no names that begin with a dot.
 *
 * @throws ManifestError as `compile` does, also for a path that cannot be read.
 */
export function load(paths: string | readonly string[], options: CompileOptions = {}): Table {
  const { texts, errors } = read(listOf(paths));
  return compileTexts(texts, options, errors);
}

/** What became of a change of the manifests. */
export type WatchEvent =
  | { readonly kind: "table"; readonly table: Table }
  /** The change cannot be served; `table` is the last one that could, and goes on. `undefined` when there was none yet. */
  | { readonly kind: "broken"; readonly error: ManifestError; readonly table: Table | undefined };

/** Options of `watch`. */
export interface WatchOptions extends Omit<CompileOptions, "raiseOn"> {
  /** Ends the watching. */
  readonly signal?: AbortSignal;
}

/** Manifests that are watched. */
export interface Watcher extends AsyncIterableIterator<WatchEvent>, AsyncDisposable {
  /** The last table that could be served. */
  readonly table: Table | undefined;
  return(): Promise<IteratorResult<WatchEvent>>;
}

/** Several events of one change are one change. */
const SETTLE = 50;
/** Some file systems send no events at all. */
const LOOK_AGAIN = 5000;

/**
 * Watches files and folders, and gives a table for each change. A change that cannot be read, a path that is missing and
 * manifests without any Gateway look like files that are just being written: they are reported as `broken`, and the last good
 * table stays. Ends by its signal, `return()`, or `await using`.
 */
export function watch(paths: string | readonly string[], options: WatchOptions = {}): Watcher {
  const { signal, ...compileOptions } = options;
  const list = listOf(paths);
  const end = new AbortController();
  const stop = () => end.abort();
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted) stop();

  let wake: () => void = () => {};
  let changed = true;
  const notice = () => {
    changed = true;
    wake();
  };
  const watchers = list.flatMap((path) => watcherOf(path, notice));
  end.signal.addEventListener("abort", () => {
    for (const each of watchers) each.close();
    signal?.removeEventListener("abort", stop);
    wake();
  }, { once: true });

  let hash: string | undefined;
  let table: Table | undefined;

  async function* events(): AsyncGenerator<WatchEvent, undefined, undefined> {
    while (!end.signal.aborted) {
      if (!changed) await sleep();
      changed = false;
      const files = await settled(list, end.signal);
      if (end.signal.aborted) return;
      if (files.hash === hash) continue;
      hash = files.hash;
      try {
        const next = compileTexts(files.texts, { ...compileOptions, raiseOn: "unreadable" }, files.errors);
        if (next.gateways().length === 0) {
          const diagnostics = next.diagnostics();
          next.close();
          throw new ManifestError("the manifests have no Gateway", diagnostics);
        }
        table = next;
        yield { kind: "table", table: next };
      } catch (error) {
        if (!(error instanceof ManifestError)) throw error;
        yield { kind: "broken", error, table };
      }
    }
  }

  function sleep(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_AGAIN);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (end.signal.aborted) wake();
    });
  }

  const generator = events();
  const watcher = {
    get table() { return table; },
    next: () => generator.next(),
    async return() {
      stop();
      await generator.return(undefined);
      return { done: true as const, value: undefined };
    },
    throw: (error: unknown) => (stop(), generator.throw(error)),
    [Symbol.asyncIterator]() { return this; },
    async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() { await this.return(); },
  };
  return watcher as unknown as Watcher;
}

/** Folders are watched, never files: editors and Kubernetes replace files instead of writing them. */
function watcherOf(path: string, notice: () => void): FSWatcher[] {
  try {
    const folder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : dirname(path);
    const watcher = watchFolder(folder, { recursive: folder === path }, notice);
    // The folder is gone: looking again will say so.
    watcher.on("error", notice);
    return [watcher];
  } catch {
    return [];
  }
}

/** Reads until two readings agree: a file that is just being written is read again. */
async function settled(paths: readonly string[], signal: AbortSignal): Promise<Read> {
  let files = read(paths);
  while (!signal.aborted) {
    await pause(SETTLE, undefined, { signal }).catch(() => undefined);
    const again = read(paths);
    if (again.hash === files.hash) return again;
    files = again;
  }
  return files;
}

function read(paths: readonly string[]): Read {
  const texts: [string, Uint8Array][] = [];
  const errors: Diagnostic[] = [];
  const hash = createHash("sha256");
  const fail = (path: string, error: unknown) => {
    const message = `${path}: ${(error as Error).message}`;
    errors.push({ severity: "error", code: "IO", position: { file: path, line: 1, column: 1 }, message, text: message });
    hash.update(`!${message}\0`);
  };
  for (const path of filesOf(paths, fail)) {
    try {
      const text = readFileSync(path);
      hash.update(`${path}\0${text.length}\0`).update(text);
      texts.push([path, text]);
    } catch (error) {
      fail(path, error);
    }
  }
  return { texts, errors, hash: hash.digest("hex") };
}

function filesOf(paths: readonly string[], fail: (path: string, error: unknown) => void): string[] {
  const found: string[] = [];
  // Folders on the way down: a link to one of them is not followed again.
  const above = new Set<string>();
  const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const folder = (path: string) => {
    let real: string;
    let names: string[];
    try {
      real = realpathSync(path);
      names = readdirSync(path).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    } catch (error) {
      return fail(path, error);
    }
    if (above.has(real)) return;
    above.add(real);
    for (const name of names) {
      const entry = join(path, name);
      const below = isFolder(entry);
      if (!ask<boolean>("takes", 0, [name, below])) continue;
      if (below) folder(entry);
      else found.push(entry);
    }
    above.delete(real);
  };
  for (const path of paths) {
    if (isFolder(path)) folder(path);
    else found.push(path);
  }
  return found;
}

function listOf(paths: string | readonly string[]): readonly string[] {
  const list = typeof paths === "string" ? [paths] : paths;
  if (!Array.isArray(list) || list.some((path) => typeof path !== "string" || path.includes("\0"))) {
    throw new TypeError("`paths` is a path or a list of paths");
  }
  return list;
}
