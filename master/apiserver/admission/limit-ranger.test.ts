import { describe, expect, test } from "bun:test";
import { limitRanges, persistentVolumeClaims, pods } from "#shared/api/resources.ts";
import type { LimitRangeItem, Pod, ResourceRequirements } from "#shared/api/types/core-v1.generated.ts";
import { admit, writeOf } from "../../../test/support/admission.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { LimitRanger } from "./limit-ranger.ts";

const limited = (...limits: LimitRangeItem[]): LimitRanger =>
  new LimitRanger(
    new MapReader().put(limitRanges, {
      apiVersion: "v1",
      kind: "LimitRange",
      metadata: { name: "l", namespace: "blue" },
      spec: { limits },
    }),
  );
const podWith = (resources?: ResourceRequirements): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "blue" },
  spec: { containers: [{ name: "c", ...(resources ? { resources } : {}) }] },
});

describe("LimitRanger", () => {
  test("fills in defaults and says so", async () => {
    const plugin = limited({
      type: "Container",
      default: { cpu: "200m", memory: "64Mi" },
      defaultRequest: { cpu: "100m" },
    });
    const pod = podWith({ limits: { cpu: "500m" } });
    await admit(plugin, writeOf(pods, pod));
    expect(pod.spec?.containers[0]?.resources).toEqual({
      limits: { cpu: "500m", memory: "64Mi" },
      requests: { cpu: "100m" },
    });
    expect(pod.metadata.annotations).toEqual({
      "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; memory limit for container c",
    });
  });

  test.each([
    [
      { type: "Container", min: { cpu: "100m" } },
      { requests: { cpu: "50m" } },
      "minimum cpu usage per Container is 100m, but request is 50m",
    ],
    [
      { type: "Container", min: { cpu: "100m" } },
      {},
      "minimum cpu usage per Container is 100m.  No request is specified",
    ],
    [
      { type: "Container", max: { memory: "1Gi" } },
      { limits: { memory: "2Gi" } },
      "maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ],
    [
      { type: "Pod", max: { cpu: "1" } },
      { limits: { cpu: "1500m" } },
      "maximum cpu usage per Pod is 1, but limit is 1500m",
    ],
    [
      { type: "Container", maxLimitRequestRatio: { cpu: "2" } },
      { requests: { cpu: "100m" }, limits: { cpu: "300m" } },
      "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    ],
  ] as [LimitRangeItem, ResourceRequirements, string][])("%j refuses %j", async (limit, resources, why) => {
    await expect(admit(limited(limit), writeOf(pods, podWith(resources)))).rejects.toThrow(
      `pods "p" is forbidden: ${why}`,
    );
  });

  test("bounds the size of claims", async () => {
    const claim = {
      apiVersion: "v1" as const,
      kind: "PersistentVolumeClaim" as const,
      metadata: { name: "d", namespace: "blue" },
      spec: { resources: { requests: { storage: "5Gi" } } },
    };
    const plugin = limited({ type: "PersistentVolumeClaim", max: { storage: "2Gi" } });
    await expect(admit(plugin, writeOf(persistentVolumeClaims, claim))).rejects.toThrow(
      "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi",
    );
  });
});
