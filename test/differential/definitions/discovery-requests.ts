/** What discovery tells of a custom kind, also while its definition goes. */
import type { OrderedRequest } from "../in-order.ts";
import { definition, definitions, number, object, text } from "./definition.ts";

const group = "shown.f.example.com";
const name = `parts.${group}`;
const version = `/apis/${group}/v1`;

const scale = { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" };
const made = {
  ...definition(
    "parts",
    object({ replicas: number, name: text() }),
    { subresources: { status: {}, scale } },
    { group, names: { plural: "parts", kind: "Part", shortNames: ["pt", "p"], categories: ["all"] } },
  ),
  metadata: { name },
};
const held = {
  apiVersion: `${group}/v1`,
  kind: "Part",
  metadata: { name: "held", finalizers: ["example.com/held"] },
};

export const discoveryRequests: readonly OrderedRequest[] = [
  { name: "parts made", method: "POST", path: definitions, body: made, until: 201 },
  { name: "parts served", method: "GET", path: `${version}/parts`, until: 200 },
  { name: "parts shown", method: "GET", path: version, untilHas: "parts/scale" },
  { name: "discovery", method: "GET", path: version },
  { name: "held made", method: "POST", path: `${version}/parts`, body: held, until: 201 },
  { name: "parts deleted", method: "DELETE", path: `${definitions}/${name}`, until: 200 },
  { name: "parts going", method: "GET", path: version, untilLacks: '"create"' },
  { name: "discovery of what goes", method: "GET", path: version },
  {
    name: "create of what goes",
    method: "POST",
    path: `${version}/parts`,
    body: { ...held, metadata: { name: "new" } },
  },
  {
    name: "held let go",
    method: "PATCH",
    path: `${version}/parts/held`,
    type: "application/merge-patch+json",
    body: { metadata: { finalizers: null } },
    until: 200,
  },
];
