import { describe, expect, test } from "bun:test";
import { isServedIngress, servesIngress } from "#shared/api/ingress.ts";
import type { Node, Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import type { Ingress, IngressClass } from "#shared/api/types/networking-v1.generated.ts";
import { backendOf } from "./backends.ts";
import { RoutingTable } from "./routes.ts";

const backend = (name: string) => ({ service: { name, port: { number: 80 } } });
const path = (text: string, pathType: string, name: string) => ({ path: text, pathType, backend: backend(name) });
const ingress = (name: string, spec: Ingress["spec"], created = "2026-01-01T00:00:00Z"): Ingress =>
  ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { namespace: "shop", name, creationTimestamp: created },
    spec,
  }) as Ingress;

describe("paths", () => {
  const table = new RoutingTable([
    ingress("a", {
      rules: [
        {
          host: "shop.test",
          http: {
            paths: [
              path("/", "Prefix", "root"),
              path("/foo", "Prefix", "foo"),
              path("/foo/bar/", "Prefix", "bar"),
              path("/foo", "Exact", "exact"),
              path("/any", "ImplementationSpecific", "any"),
            ],
          },
        },
      ],
    }),
  ]);
  // The table of the Ingress documentation, as far as it goes for these.
  test.each([
    ["/", "root"],
    ["/other", "root"],
    ["/foo", "exact"],
    ["/foo/", "foo"],
    ["/foobar", "root"],
    ["/foo/bar", "bar"],
    ["/foo/bar/baz", "bar"],
    ["/foo/barbaz", "foo"],
    ["/FOO", "root"],
    ["/any/thing", "any"],
  ])("%s goes to %s", (asked, service) => expect(table.match("shop.test", asked)?.service).toBe(service));
});

describe("hosts", () => {
  const rule = (host: string | undefined, name: string) => ({ host, http: { paths: [path("/x", "Prefix", name)] } });
  const table = new RoutingTable([
    ingress("young", { rules: [rule("shop.test", "young")] }, "2026-02-01T00:00:00Z"),
    ingress("a", { rules: [rule("shop.test", "exact"), rule("*.test", "wild"), rule(undefined, "none")] }),
    ingress("default", { defaultBackend: backend("default") }),
  ]);
  test.each([
    ["shop.test", "/x", "exact"],
    ["SHOP.test:8080", "/x", "exact"],
    ["other.test", "/x", "wild"],
    ["deep.other.test", "/x", "none"],
    ["elsewhere.org", "/x", "none"],
    ["shop.test", "/y", "default"],
  ])("%s%s goes to %s", (host, asked, service) => expect(table.match(host, asked)?.service).toBe(service));
  test("nothing matches where nothing is", () => {
    const small = new RoutingTable([ingress("a", { rules: [rule("shop.test", "exact")] })]);
    expect([small.match("shop.test", "/y"), small.match("other.test", "/x")]).toEqual([undefined, undefined]);
    expect(small.isEmpty).toBe(false);
  });
  test("a host's own default backend comes before that of all", () => {
    const own = ingress("a", { defaultBackend: backend("own"), rules: [rule("shop.test", "exact")] });
    expect(new RoutingTable([own]).match("shop.test", "/y")?.service).toBe("own");
  });
  test("TLS Secrets by server name, wildcards over one label", () => {
    const tls = [{ hosts: ["shop.test", "*.apps.test"], secretName: "s" }, { secretName: "rest" }];
    const names = new RoutingTable([ingress("a", { tls })]);
    expect(["shop.test", "a.apps.test", "a.b.apps.test"].map((name) => names.secretFor(name)?.name)).toEqual([
      "s",
      "s",
      "rest",
    ]);
  });
});

test("backends: ready pods by the port's name or number; h2c where the port says so", () => {
  const service = { spec: { ports: [{ name: "web", port: 80, appProtocol: "kubernetes.io/h2c" }] } } as Service;
  const slice = {
    ports: [{ name: "web", port: 8080, protocol: "TCP" }],
    endpoints: [
      { addresses: ["10.42.0.5"], conditions: { ready: true } },
      { addresses: ["10.42.0.6"], conditions: { ready: false, serving: true, terminating: true } },
    ],
  } as EndpointSlice;
  const reference = { namespace: "shop", service: "s", port: 80 };
  expect(backendOf(reference, service, [slice])).toEqual({
    endpoints: [{ ip: "10.42.0.5", port: 8080 }],
    protocol: "h2c",
  });
  expect(backendOf({ ...reference, port: "web" }, service, [slice])?.endpoints).toHaveLength(1);
  expect(backendOf({ ...reference, port: 81 }, service, [slice])).toBeUndefined();
  const ending = { ...slice, endpoints: slice.endpoints.slice(1) };
  expect(backendOf(reference, service, [ending])?.endpoints[0]?.ip).toBe("10.42.0.6");
});

test("whose an Ingress is, and which boards serve", () => {
  const classes = [{ metadata: { name: "bramble" }, spec: { controller: "bramble.dev/ingress" } }] as IngressClass[];
  expect(isServedIngress(ingress("a", { ingressClassName: "bramble" }), classes)).toBe(true);
  expect(isServedIngress(ingress("a", { ingressClassName: "nginx" }), classes)).toBe(false);
  expect(isServedIngress(ingress("a", {}), classes)).toBe(false);
  const node = (name: string, value?: string): Node =>
    ({ metadata: { name, labels: value ? { "bramble.node-restriction.kubernetes.io/ingress": value } : {} } }) as Node;
  expect(servesIngress("a", [node("a"), node("b")])).toBe(true);
  expect([
    servesIngress("a", [node("a"), node("b", "true")]),
    servesIngress("b", [node("a"), node("b", "true")]),
  ]).toEqual([false, true]);
});
