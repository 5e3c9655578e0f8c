/** Manifests as objects, and why a request is decided as it is. */
import { compile as compileSources, type Explanation, type RequestInput, type Table } from "gatewright";

export type ExplainedRequest = { readonly request: RequestInput; readonly explanation: Explanation };

const manifests = [{ apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name: "edge" }, spec: { gatewayClassName: "any", listeners: [{ name: "http", port: 80, protocol: "HTTP" }] } }];

export function compile(): Table {
  return compileSources(manifests);
}

export function explained(table: Table, url: string): ExplainedRequest {
  const request: RequestInput = { method: "GET", url, headers: { host: "shop.example.com", accept: ["text/html", "*/*"] } };
  const explanation = table.explain(request);
  const failed = explanation.candidates.flatMap(({ verdict }) => (verdict.result === "failed" ? [verdict.condition] : []));
  console.log(explanation.wonBy, failed);
  return { request, explanation };
}
