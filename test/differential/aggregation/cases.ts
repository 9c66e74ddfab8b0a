/** APIServices, what stands behind each, and what is asked of each once its condition is told. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Answerer, Backings, Behaviour } from "./backing.ts";

export type Json = Record<string, unknown>;

export interface Case {
  /** Of the Service, and of the group: `NAME.example.com`. */
  readonly name: string;
  readonly behaviour?: Behaviour;
  /** The Service's own; null: there is none. */
  readonly service?: Json | null;
  /** Of the slices; null: there is none. */
  readonly slice?: Json | null;
  /** Over the APIService's spec. */
  readonly spec?: (backings: Backings) => Json;
  /** Of the condition, where the first one told is not the last. */
  readonly reason?: string;
}

const list = (groupVersion: string): Json => ({
  kind: "APIResourceList",
  apiVersion: "v1",
  groupVersion,
  resources: [
    {
      name: "flunders",
      singularName: "flunder",
      namespaced: true,
      kind: "Flunder",
      verbs: ["get", "list"],
      shortNames: ["fl"],
    },
    { name: "flunders/status", singularName: "", namespaced: true, kind: "Flunder", verbs: ["get"] },
    {
      name: "flunders/scale",
      singularName: "",
      namespaced: true,
      group: "autoscaling",
      version: "v1",
      kind: "Scale",
      verbs: ["get"],
    },
  ],
});

const json = (response: ServerResponse, value: unknown, code = 200): void => {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
};

/** A whole server of one group version. */
const good =
  (group: string): Answerer =>
  (request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (path === `/apis/${group}/v1`) return json(response, list(`${group}/v1`));
    if (path?.endsWith("/flunders"))
      return json(response, { kind: "FlunderList", apiVersion: `${group}/v1`, items: [], asked: asked(request) });
    response.setHeader("x-own", "yes");
    json(response, { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 }, 404);
  };

/** Headers as they come to the server: who asks, and what the client said. */
function asked({ headers, url, method }: IncomingMessage): Json {
  const told = Object.entries(headers).filter(([name]) =>
    /^(x-|accept$|user-agent|authorization|content-|impersonate)/.test(name),
  );
  return { method, url, headers: Object.fromEntries(told.sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** In the aggregated form, which is asked for first. */
const aggregated =
  (group: string, version: string, served: string): Answerer =>
  (request, response) => {
    if (request.url !== "/apis") return good(group)(request, response);
    response.setHeader("content-type", `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
    response.setHeader("etag", '"one"');
    response.end(
      JSON.stringify({
        kind: "APIGroupDiscoveryList",
        apiVersion: `apidiscovery.k8s.io/${version}`,
        metadata: {},
        items: [
          {
            metadata: { name: group },
            versions: [
              {
                version: served,
                freshness: "Current",
                resources: [
                  {
                    resource: "gadgets",
                    responseKind: { group, version: served, kind: "Gadget" },
                    scope: "Cluster",
                    singularResource: "gadget",
                    verbs: ["list"],
                    shortNames: ["ga"],
                    categories: ["all"],
                    subresources: [{ subresource: "status", verbs: ["get"] }],
                  },
                  { resource: "gears", scope: "Namespaced", singularResource: "gear", verbs: ["get"] },
                ],
              },
            ],
          },
        ],
      }),
    );
  };

const https = (answer: Answerer): Behaviour => ({ kind: "https", answer });
const status =
  (code: number, headers: Record<string, string> = {}): Answerer =>
  (_, response) => {
    response.writeHead(code, headers);
    response.end("what it says");
  };
const always =
  (type: string, body: string): Answerer =>
  (_, response) => {
    response.setHeader("content-type", type);
    response.end(body);
  };

const insecure = (): Json => ({ insecureSkipTLSVerify: true });
const bundleOf = (pem: string): string => Buffer.from(pem).toString("base64");
const trusting = ({ authority }: Backings): Json => ({ caBundle: bundleOf(authority.certificatePem) });

export const cases: readonly Case[] = [
  { name: "good", behaviour: https(good("good.example.com")), spec: trusting },
  { name: "unverified", behaviour: https(good("unverified.example.com")), spec: insecure },
  { name: "aggregated", behaviour: https(aggregated("aggregated.example.com", "v2", "v1")), spec: insecure },
  { name: "beta", behaviour: https(aggregated("beta.example.com", "v2beta1", "v1")), spec: insecure },
  { name: "another-version", behaviour: https(aggregated("another-version.example.com", "v2", "v7")), spec: insecure },
  { name: "no-service", service: null, slice: null, spec: insecure },
  { name: "wrong-port", service: { ports: [{ port: 8443 }] }, spec: insecure },
  { name: "no-slices", slice: null, spec: insecure },
  { name: "no-endpoints", slice: { endpoints: [] }, spec: insecure },
  { name: "not-ready", slice: { conditions: { ready: false } }, spec: insecure },
  { name: "other-port-name", slice: { portName: "other" }, spec: insecure },
  {
    name: "named-port",
    behaviour: https(good("named-port.example.com")),
    service: { ports: [{ name: "api", port: 443 }] },
    slice: { portName: "api" },
    spec: insecure,
  },
  {
    name: "own-port",
    behaviour: https(good("own-port.example.com")),
    service: {
      ports: [
        { name: "api", port: 9443 },
        { name: "metrics", port: 443 },
      ],
    },
    slice: { portName: "api" },
    spec: () => ({ insecureSkipTLSVerify: true, service: { port: 9443 } }),
  },
  { name: "node-port", service: { type: "NodePort", ports: [{ port: 443 }] }, slice: null, spec: insecure },
  { name: "refused", behaviour: { kind: "nobody" }, spec: insecure },
  { name: "silent", behaviour: { kind: "silent" }, spec: insecure },
  { name: "closing", behaviour: { kind: "closing" }, spec: insecure },
  { name: "hanging", behaviour: https(() => undefined), spec: insecure },
  { name: "dropping", behaviour: https((request) => void request.socket.destroy()), spec: insecure },
  { name: "plain", behaviour: { kind: "http", answer: good("plain.example.com") }, spec: insecure },
  { name: "status-500", behaviour: https(status(500)), spec: insecure },
  { name: "status-404", behaviour: https(status(404)), spec: insecure },
  { name: "status-403", behaviour: https(status(403)), spec: insecure },
  { name: "status-503", behaviour: https(status(503)), spec: insecure },
  { name: "redirecting", behaviour: https(status(302, { location: "/elsewhere" })), spec: insecure },
  { name: "garbage", behaviour: https(always("application/json", "{{{")), spec: insecure },
  { name: "text", behaviour: https(always("text/plain", "hello")), spec: insecure },
  {
    name: "other-kind",
    behaviour: https(always("application/json", '{"kind":"Pod","apiVersion":"v1"}')),
    spec: insecure,
  },
  { name: "empty-answer", behaviour: https(always("application/json", "")), spec: insecure },
  { name: "untrusted", behaviour: https(good("untrusted.example.com")) },
  {
    name: "other-authority",
    behaviour: https(good("other-authority.example.com")),
    spec: ({ other }) => ({ caBundle: bundleOf(other.certificatePem) }),
  },
  {
    name: "other-name",
    behaviour: { kind: "https", answer: good("other-name.example.com"), name: "somebody.else" },
    spec: trusting,
  },
  {
    name: "unnamed-bundle",
    behaviour: https(good("unnamed-bundle.example.com")),
    spec: () => ({ caBundle: bundleOf("no certificate") }),
  },
  {
    name: "first",
    behaviour: https(good("first.example.com")),
    spec: () => ({ insecureSkipTLSVerify: true, groupPriorityMinimum: 19000, versionPriority: 3 }),
  },
  {
    name: "low",
    behaviour: https(good("low.example.com")),
    spec: () => ({ insecureSkipTLSVerify: true, groupPriorityMinimum: 10, versionPriority: 3 }),
  },
];
