/** What a driver of dynamic resources and its users write, with all that the samples leave out. */
import type { Json } from "../wire/request.ts";

export interface RichObject {
  readonly name: string;
  /** Of objects of the kind. */
  readonly collection: string;
  readonly object: Json;
}

const group = "/apis/resource.k8s.io/v1";
const driver = "gpu.example.com";

const object = (kind: string, name: string, spec: Json, namespaced: boolean): Json => ({
  apiVersion: "resource.k8s.io/v1",
  kind,
  metadata: { name, ...(namespaced ? { namespace: "wire" } : {}) },
  spec,
});

const rich = (kind: string, plural: string, name: string, spec: Json, namespaced: boolean): RichObject => ({
  name: `${name} ${kind}`,
  collection: namespaced ? `${group}/namespaces/wire/${plural}` : `${group}/${plural}`,
  object: object(kind, name, spec, namespaced),
});

const selector: Json = { cel: { expression: `device.driver == "${driver}"` } };
const toleration: Json = { key: "example.com/broken", operator: "Equal", value: "yes", effect: "NoExecute" };

const devices: Json = {
  requests: [
    {
      name: "gpu",
      exactly: {
        deviceClassName: driver,
        selectors: [selector],
        allocationMode: "ExactCount",
        count: 2,
        adminAccess: false,
        tolerations: [{ ...toleration, tolerationSeconds: 5 }],
        capacity: { requests: { memory: "1Gi" } },
      },
    },
    {
      name: "either",
      firstAvailable: [
        { name: "big", deviceClassName: driver, selectors: [selector], allocationMode: "All" },
        { name: "small", deviceClassName: driver, tolerations: [toleration], count: 3 },
      ],
    },
  ],
  constraints: [{ requests: ["gpu", "either/big"], matchAttribute: "example.com/numa" }],
  config: [{ requests: ["either"], opaque: { driver, parameters: { mode: "fast" } } }],
};

const sliceDevices: Json = {
  devices: [
    {
      name: "gpu-0",
      attributes: {
        model: { string: "x" },
        "example.com/numa": { int: 1 },
        fast: { bool: true },
        firmware: { version: "1.2.3-beta.1+build" },
      },
      capacity: {
        memory: {
          value: "8Gi",
          requestPolicy: { default: "1Gi", validRange: { min: "1Gi", max: "4Gi", step: "1Gi" } },
        },
      },
      consumesCounters: [{ counterSet: "set-a", counters: { memory: { value: "1Gi" } } }],
      taints: [{ key: "example.com/broken", value: "yes", effect: "NoSchedule" }],
      bindsToNode: true,
      bindingConditions: ["Ready"],
      bindingFailureConditions: ["Failed"],
      allowMultipleAllocations: true,
    },
  ],
};

const pool: Json = { name: "pool-a/one", generation: 1, resourceSliceCount: 1 };

export const richObjects: readonly RichObject[] = [
  rich("ResourceClaim", "resourceclaims", "rich", { devices }, true),
  rich(
    "ResourceClaimTemplate",
    "resourceclaimtemplates",
    "rich",
    {
      metadata: { labels: { a: "b" }, annotations: { c: "d" } },
      spec: { devices },
    },
    true,
  ),
  rich(
    "DeviceClass",
    "deviceclasses",
    "rich.example.com",
    {
      selectors: [selector],
      config: [{ opaque: { driver, parameters: { mode: "fast" } } }],
      extendedResourceName: "example.com/gpu",
    },
    false,
  ),
  rich("ResourceSlice", "resourceslices", "rich-named", { driver, nodeName: "node-a", pool, ...sliceDevices }, false),
  rich("ResourceSlice", "resourceslices", "rich-everywhere", { driver, allNodes: true, pool, ...sliceDevices }, false),
  rich(
    "ResourceSlice",
    "resourceslices",
    "rich-selected",
    {
      driver,
      pool,
      nodeSelector: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: "example.com/gpu", operator: "In", values: ["yes"] }] }],
      },
      ...sliceDevices,
    },
    false,
  ),
];
