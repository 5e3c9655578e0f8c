import type { Diagnostic } from "./types.js";

/** What this package throws, beside `TypeError` for arguments that are not what they should be. */
export class GatewrightError extends Error {
  /** A stable word. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Manifests that cannot be served as they are; `raiseOn` says which ones throw. */
export class ManifestError extends GatewrightError {
  /** Everything that was found, warnings included. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(message: string, diagnostics: readonly Diagnostic[], options?: ErrorOptions) {
    super("GATEWRIGHT_MANIFEST", message, options);
    this.diagnostics = diagnostics;
  }
}

/** The Gateway, listener, port or Service that a request was said to arrive at is not there. */
export class PlaceError extends GatewrightError {
  constructor(message: string) {
    super("GATEWRIGHT_PLACE", message);
  }
}
