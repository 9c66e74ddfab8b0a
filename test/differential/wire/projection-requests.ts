/** Projected volumes whose sources get in each other's way or say nothing, and what of a pod stands behind closed gates. */
import { type Json, ownNamespace, sender, type WireGroup, type WireRequest } from "./request.ts";

const namespace = "wire-projections";
const send = sender("projection");

const items = (paths: readonly string[]): Json[] => paths.map((path, index) => ({ key: `k${index}`, path }));
const settings = (name: string, ...paths: readonly string[]): Json => ({ configMap: { name, items: items(paths) } });
const secret = (name: string, ...paths: readonly string[]): Json => ({ secret: { name, items: items(paths) } });
const fields = (...paths: readonly string[]): Json => ({
  downwardAPI: { items: paths.map((path) => ({ path, fieldRef: { fieldPath: "metadata.name" } })) },
});
const token = (path: string): Json => ({ serviceAccountToken: { path } });
const trust = (path: string): Json => ({ clusterTrustBundle: { path, name: "a" } });
const certificate = (more: Json): Json => ({
  podCertificate: { signerName: "a.example.com/b", keyType: "ED25519", ...more },
});

const sources: readonly (readonly Json[])[] = [
  [],
  [{}],
  [{}, {}],
  [settings("a"), token("z"), {}],
  [settings("a", "x"), secret("s", "x/y")],
  [settings("a", "x/y"), secret("s", "x")],
  [settings("a", "x/a", "x/b"), secret("s", "x")],
  [settings("a", "x", "x/")],
  [fields("x"), token("x")],
  [token("x"), fields("x")],
  [fields("x/a"), token("x/b"), secret("s", "x")],
  [settings("a"), {}, settings("b", "x"), {}, fields("x/")],
  [secret("s", "x", "x/y")],
  [{ ...token("x"), ...fields("x") }, trust("x")],
  [token("x"), trust("x")],
  [trust("x"), token("x")],
  [trust("")],
  [token("x"), certificate({ credentialBundlePath: "x" })],
  [certificate({ keyPath: "x", certificateChainPath: "x" })],
  [certificate({ keyType: "odd" })],
];

const container = { name: "a", image: "a" };
const specs: readonly Json[] = [
  ...sources.map((each) => ({ volumes: [{ name: "v", projected: { sources: each } }] })),
  ...["containers", "initContainers", "ephemeralContainers"].flatMap((list) =>
    [{}, { stopSignal: "SIGUSR1" }, { stopSignal: "odd" }, { stopSignal: "", preStop: { sleep: { seconds: 1 } } }].map(
      (lifecycle) => ({ [list]: [{ ...container, name: list === "containers" ? "a" : "b", lifecycle }] }),
    ),
  ),
];

const requests = specs.flatMap((spec): WireRequest[] => {
  const whole = { containers: [container], ...spec };
  const told = JSON.stringify(spec);
  const post = (plural: string, body: Json): WireRequest =>
    send(`${plural} ${told}`, "POST", `/api/v1/namespaces/${namespace}/${plural}?dryRun=All`, {
      apiVersion: "v1",
      metadata: { name: "projected" },
      ...body,
    });
  return [
    post("pods", { kind: "Pod", spec: whole }),
    post("podtemplates", { kind: "PodTemplate", template: { metadata: { labels: { a: "b" } }, spec: whole } }),
  ];
});

export const projectionGroups: readonly WireGroup[] = [
  { name: "projections", inOrder: true, requests: [...ownNamespace(send, namespace), ...requests] },
];
