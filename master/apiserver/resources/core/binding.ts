import type { KubeObject } from "#shared/api/object.ts";
import { pods } from "#shared/api/resources.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";

const same = (object: KubeObject): KubeObject => object;

/** The older way to put a pod on a node, before pods had a `binding` of their own: nothing rests under it. */
export const binding: ResourceDeclaration = {
  ref: { group: "", version: "v1", kind: "Binding", plural: "bindings", namespaced: true },
  verbs: ["create"],
  storedAs: { ref: pods, fromStored: same, toStored: same },
};
