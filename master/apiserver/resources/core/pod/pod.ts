import { pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../../registry/declaration.ts";
import { connect, proxy, status } from "../../subresources.ts";
import { completion, podColumns } from "./columns.ts";
import { podStrategy } from "./strategy.ts";
import { ephemeralContainersUpdate, resizeUpdate } from "./update.ts";

export const pod: ResourceDeclaration<Pod> = {
  ref: pods,
  shortNames: ["po"],
  categories: ["all"],
  subresources: {
    attach: { ...connect("PodAttachOptions", ["create", "get"]), neededVerb: "create" },
    binding: { verbs: ["create"], body: { group: "", version: "v1", kind: "Binding" } },
    ephemeralcontainers: { ...status, unprinted: true, update: ephemeralContainersUpdate },
    eviction: {
      verbs: ["create"],
      body: { group: "policy", version: "v1", kind: "Eviction" },
      // As upstream's EvictionREST takes it.
      formerBodyVersions: ["v1beta1"],
    },
    exec: { ...connect("PodExecOptions", ["create", "get"]), neededVerb: "create" },
    log: { verbs: ["get"] },
    portforward: { ...connect("PodPortForwardOptions", ["create", "get"]), neededVerb: "create" },
    proxy: proxy("PodProxyOptions"),
    resize: { ...status, unprinted: true, update: resizeUpdate },
    status,
  },
  columns: podColumns,
  rowConditions: completion,
  selectableFields: {
    "spec.nodeName": ({ spec }) => spec.nodeName ?? "",
    "spec.restartPolicy": ({ spec }) => spec.restartPolicy ?? "",
    "spec.schedulerName": ({ spec }) => spec.schedulerName ?? "",
    "spec.serviceAccountName": ({ spec }) => spec.serviceAccountName ?? "",
    "spec.hostNetwork": ({ spec }) => String(spec.hostNetwork ?? false),
    "status.phase": (object) => object.status?.phase ?? "",
    "status.podIP": (object) => object.status?.podIP ?? "",
    "status.podIPs": (object) => object.status?.podIPs?.map(({ ip }) => ip).join(",") ?? "",
    "status.nominatedNodeName": (object) => object.status?.nominatedNodeName ?? "",
  },
  strategy: podStrategy,
};
