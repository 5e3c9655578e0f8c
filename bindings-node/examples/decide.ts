/** A decision, and what is to be done with it: `kind` narrows. */
import { compile, ManifestError, PlaceError, type Decision } from "gatewright";

function describe(decision: Decision): string {
  switch (decision.kind) {
    case "forward":
      return `${decision.backend.name}:${decision.backend.port} ${decision.target} within ${decision.requestTimeoutMs ?? Infinity} ms`;
    case "redirect":
      return `${decision.status} ${decision.location}`;
    case "respond":
      return `${decision.status} ${decision.reason}`;
  }
}

try {
  using table = compile([{ apiVersion: "v1", kind: "Service", metadata: { name: "web" } }, "kind: Gateway"], { profile: "compatible", raiseOn: "error" });
  console.log(describe(table.decide(new Request("https://shop.example.com/cart"), { sni: "shop.example.com" })));
  const inMesh = table.decide({ method: "GET", url: "/", headers: [["host", "web"]] }, { service: "shop/web", client: "shop" });
  if (inMesh.kind === "passThrough") console.log(inMesh.message);
  // @ts-expect-error decisions are read-only
  inMesh.kind = "forward";
  // @ts-expect-error a word that is none
  compile("", { profile: "lenient" });
} catch (error) {
  if (error instanceof ManifestError) for (const { severity, text } of error.diagnostics) console.error(severity, text);
  else if (error instanceof PlaceError) console.error(error.code, error.message);
  else throw error;
}
