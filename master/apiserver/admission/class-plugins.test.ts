import { describe, expect, test } from "bun:test";
import {
  ingressClasses,
  ingresses,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  runtimeClasses,
  storageClasses,
} from "#shared/api/resources.ts";
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  Pod,
  PodSpec,
} from "#shared/api/types/core-v1.generated.ts";
import type { Ingress } from "#shared/api/types/networking-v1.generated.ts";
import type { StorageClass } from "#shared/api/types/storage-v1.generated.ts";
import { admit, writeOf } from "../../../test/support/admission.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { DefaultIngressClass } from "./default-ingress-class.ts";
import { PodTopologyLabels } from "./pod-topology-labels.ts";
import { RuntimeClassPlugin } from "./runtime-class.ts";
import { DefaultStorageClass, PersistentVolumeClaimResize, StorageObjectInUseProtection } from "./storage-plugins.ts";

const claim = (spec: PersistentVolumeClaimSpec = {}, phase = "Bound"): PersistentVolumeClaim => ({
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "d", namespace: "blue" },
  spec,
  status: { phase },
});
const storageClass = (name: string, created: string, more: Partial<StorageClass> = {}): StorageClass => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: {
    name,
    creationTimestamp: created,
    annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
  },
  provisioner: "p",
  ...more,
});
const pod = (spec: Partial<PodSpec> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "blue" },
  spec: { containers: [], ...spec },
});

describe("DefaultStorageClass", () => {
  const reader = new MapReader().put(
    storageClasses,
    storageClass("old", "2026-01-01T00:00:00Z"),
    storageClass("new", "2026-02-01T00:00:00Z"),
  );
  const plugin = new DefaultStorageClass(reader);

  test("gives the newest default to a claim that names none", async () => {
    const plain = claim();
    await admit(plugin, writeOf(persistentVolumeClaims, plain));
    expect(plain.spec?.storageClassName).toBe("new");
  });

  test("leaves a claim alone that wants a class, or none at all", async () => {
    for (const storageClassName of ["mine", ""]) {
      const own = claim({ storageClassName });
      await admit(plugin, writeOf(persistentVolumeClaims, own));
      expect(own.spec?.storageClassName).toBe(storageClassName);
    }
  });
});

describe("StorageObjectInUseProtection", () => {
  test("puts the finalizer on what is new, once", async () => {
    const made = claim();
    await admit(new StorageObjectInUseProtection(), writeOf(persistentVolumeClaims, made));
    await admit(new StorageObjectInUseProtection(), writeOf(persistentVolumeClaims, made));
    expect(made.metadata.finalizers).toEqual(["kubernetes.io/pvc-protection"]);
    const volume = { apiVersion: "v1" as const, kind: "PersistentVolume" as const, metadata: { name: "v" }, spec: {} };
    await admit(new StorageObjectInUseProtection(), writeOf(persistentVolumes, volume));
    expect((volume.metadata as { finalizers?: string[] }).finalizers).toEqual(["kubernetes.io/pv-protection"]);
  });
});

describe("PersistentVolumeClaimResize", () => {
  const sized = (storage: string, storageClassName = "grows", phase = "Bound") =>
    claim({ storageClassName, resources: { requests: { storage } } }, phase);
  const reader = new MapReader().put(
    storageClasses,
    storageClass("grows", "2026-01-01T00:00:00Z", { allowVolumeExpansion: true }),
    storageClass("fixed", "2026-01-01T00:00:00Z"),
  );
  const resize = (object: PersistentVolumeClaim, oldObject: PersistentVolumeClaim) =>
    admit(
      new PersistentVolumeClaimResize(reader),
      writeOf(persistentVolumeClaims, object, { operation: "UPDATE", oldObject }),
    );

  test("lets a bound claim grow whose class allows it", async () => {
    await resize(sized("2Gi"), sized("1Gi"));
    await resize(sized("1Gi", "fixed"), sized("1Gi", "fixed"));
    await expect(resize(sized("2Gi", "fixed"), sized("1Gi", "fixed"))).rejects.toThrow("must support resize");
    await expect(resize(sized("2Gi"), sized("1Gi", "grows", "Pending"))).rejects.toThrow(
      "Only bound persistent volume claims can be expanded",
    );
  });
});

test("DefaultIngressClass gives the default to an Ingress that names none", async () => {
  const reader = new MapReader().put(ingressClasses, {
    apiVersion: "networking.k8s.io/v1",
    kind: "IngressClass",
    metadata: { name: "usual", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: {},
  });
  const ingress = (annotations: Record<string, string> = {}): Ingress => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name: "i", namespace: "blue", annotations },
    spec: {},
  });
  const plain = ingress();
  await admit(new DefaultIngressClass(reader), writeOf(ingresses, plain));
  expect(plain.spec?.ingressClassName).toBe("usual");
  const old = ingress({ "kubernetes.io/ingress.class": "nginx" });
  await admit(new DefaultIngressClass(reader), writeOf(ingresses, old));
  expect(old.spec?.ingressClassName).toBeUndefined();
});

describe("RuntimeClass", () => {
  const reader = new MapReader().put(runtimeClasses, {
    apiVersion: "node.k8s.io/v1",
    kind: "RuntimeClass",
    metadata: { name: "sandboxed" },
    handler: "h",
    overhead: { podFixed: { memory: "64Mi" } },
    scheduling: { nodeSelector: { sandbox: "yes" }, tolerations: [{ key: "sandbox", operator: "Exists" }] },
  });
  const plugin = new RuntimeClassPlugin(reader);

  test("brings overhead, selector and tolerations", async () => {
    const sandboxed = pod({
      runtimeClassName: "sandboxed",
      nodeSelector: { a: "b" },
      tolerations: [{ key: "sandbox", operator: "Exists" }],
    });
    await admit(plugin, writeOf(pods, sandboxed));
    expect(sandboxed.spec).toMatchObject({
      overhead: { memory: "64Mi" },
      nodeSelector: { a: "b", sandbox: "yes" },
      tolerations: [{ key: "sandbox", operator: "Exists" }],
    });
    expect(sandboxed.spec?.tolerations).toHaveLength(1);
  });

  test.each([
    [{ runtimeClassName: "ghost" }, 'pod rejected: RuntimeClass "ghost" not found'],
    [{ runtimeClassName: "sandboxed", overhead: { memory: "1Mi" } }, "doesn't match RuntimeClass's defined Overhead"],
    [{ overhead: { memory: "1Mi" } }, "Pod Overhead set without corresponding RuntimeClass"],
    [
      { runtimeClassName: "sandboxed", nodeSelector: { sandbox: "no" } },
      "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = yes",
    ],
  ] as [Partial<PodSpec>, string][])("refuses %j", async (spec, why) => {
    await expect(admit(plugin, writeOf(pods, pod(spec)))).rejects.toThrow(why);
  });
});

test("PodTopologyLabels lays the node's zone on its pods", async () => {
  const reader = new MapReader().put(nodes, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "a", labels: { "topology.kubernetes.io/zone": "attic", other: "x" } },
    spec: {},
  });
  const placed = pod({ nodeName: "a" });
  await admit(new PodTopologyLabels(reader), writeOf(pods, placed));
  expect(placed.metadata.labels).toEqual({ "topology.kubernetes.io/zone": "attic" });
});
