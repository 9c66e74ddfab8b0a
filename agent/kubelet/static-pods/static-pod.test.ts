import { expect, test } from "bun:test";
import { parseStaticPods } from "./static-pod.ts";

const manifest = (spec: object): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web" },
    spec: { containers: [{ name: "main", image: "web:1" }], ...spec },
  });
const parsed = (spec: object): string => {
  try {
    return parseStaticPods(manifest(spec), "/manifests/web.yaml", "board")[0]?.metadata.name ?? "none";
  } catch (error) {
    return (error as Error).message;
  }
};
const projected = (source: object): object => ({ volumes: [{ name: "v", projected: { sources: [source] } }] });
const environment = (valueFrom: object): object => ({
  containers: [{ name: "main", image: "web:1", env: [{ name: "A", valueFrom }] }],
});

test("a static pod that needs nothing of the API is taken", () => {
  expect(parsed({})).toBe("web-board");
  expect(parsed({ volumes: [{ name: "v", hostPath: { path: "/v" } }, { name: "w" }] })).toBe("web-board");
  expect(parsed(projected({ downwardAPI: { items: [] } }))).toBe("web-board");
  expect(parsed(environment({ fieldRef: { fieldPath: "status.podIP" } }))).toBe("web-board");
});

test.each([
  ["serviceaccounts", { serviceAccountName: "default" }],
  ["secrets", { imagePullSecrets: [{ name: "s" }] }],
  ["secrets", environment({ secretKeyRef: { name: "s", key: "k" } })],
  ["secrets", { volumes: [{ name: "v", secret: { secretName: "s" } }] }],
  ["secrets", projected({ secret: { name: "s" } })],
  ["configmaps", { initContainers: [{ name: "i", image: "web:1", envFrom: [{ configMapRef: { name: "c" } }] }] }],
  ["configmaps", { volumes: [{ name: "v", configMap: { name: "c" } }] }],
  ["resourceclaims", { resourceClaims: [{ name: "r", resourceClaimName: "r" }] }],
  ["persistentvolumeclaims", { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "c" } }] }],
  ["persistentvolumeclaims (via ephemeral volumes)", { volumes: [{ name: "v", ephemeral: {} }] }],
  ["csidrivers (via CSI volumes)", { volumes: [{ name: "v", csi: { driver: "d" } }] }],
  ["serviceaccounts (via projected volumes)", projected({ serviceAccountToken: { path: "token" } })],
  ["clustertrustbundles", projected({ clusterTrustBundle: { path: "ca", name: "b" } })],
])("a static pod that needs %s is left out", (what, spec) => {
  expect(parsed(spec)).toBe(`static pods may not reference ${what}`);
});
