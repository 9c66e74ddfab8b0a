import { describe, expect, test } from "bun:test";
import { deployments, namespaces, pods } from "#shared/api/resources.ts";
import type { Deployment } from "#shared/api/types/apps-v1.generated.ts";
import type { Container, Namespace, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { admit, writeOf } from "../../../../test/support/admission.ts";
import { MapReader } from "../../../../test/support/map-reader.ts";
import { describeViolations, violations } from "./checks.ts";
import { podSecurityExemptions } from "./evaluation-counts.ts";
import { usualPodSecurity } from "./exemptions.ts";
import type { LevelVersion } from "./levels.ts";
import { PodSecurity } from "./pod-security.ts";

const podWith = (spec: Partial<PodSpec> = {}, container: Partial<Container> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "blue" },
  spec: { containers: [{ name: "c", image: "i", ...container }], ...spec },
});
const baseline: LevelVersion = { level: "baseline", version: "latest" };
const restricted: LevelVersion = { level: "restricted", version: "latest" };
const hardened: Partial<Container> = {
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] },
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
  },
};

describe("violations", () => {
  const cases: [string, LevelVersion, Pod, string][] = [
    ["a plain pod is baseline", baseline, podWith(), ""],
    ["a hardened pod is restricted", restricted, podWith({}, hardened), ""],
    [
      "a plain pod is not restricted",
      restricted,
      podWith(),
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    ],
    [
      "privileged",
      baseline,
      podWith({ hostNetwork: true, hostPID: true }, { securityContext: { privileged: true } }),
      'host namespaces (hostNetwork=true, hostPID=true), privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      "ports and paths of the host",
      baseline,
      podWith({ volumes: [{ name: "v", hostPath: { path: "/" } }] }, { ports: [{ containerPort: 80, hostPort: 80 }] }),
      'hostPath volumes (volume "v"), hostPort (container "c" uses hostPort 80)',
    ],
    [
      "capabilities",
      baseline,
      podWith({}, { securityContext: { capabilities: { add: ["SYS_ADMIN", "CHOWN", "BPF"] } } }),
      'non-default capabilities (container "c" must not include "BPF", "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      "volumes, once though two checks see the path",
      restricted,
      podWith(
        {
          volumes: [
            { name: "v", nfs: { server: "s", path: "/" } },
            { name: "h", hostPath: { path: "/" } },
          ],
        },
        hardened,
      ),
      'restricted volume types (volumes "v", "h" use restricted volume types "hostPath", "nfs")',
    ],
    [
      "the superuser",
      restricted,
      podWith({ securityContext: { runAsUser: 0 } }, hardened),
      "runAsUser=0 (pod must not set runAsUser=0)",
    ],
    [
      "the superuser of a user namespace",
      restricted,
      podWith({ hostUsers: false, securityContext: { runAsUser: 0 } }, hardened),
      "",
    ],
    [
      "sysctls",
      baseline,
      podWith({
        securityContext: {
          sysctls: [
            { name: "net.ipv4.tcp_rmem", value: "1" },
            { name: "kernel.msgmax", value: "1" },
          ],
        },
      }),
      "forbidden sysctls (kernel.msgmax)",
    ],
    [
      "sysctls as of an older version",
      { level: "baseline", version: 28 },
      podWith({ securityContext: { sysctls: [{ name: "net.ipv4.tcp_rmem", value: "1" }] } }),
      "forbidden sysctls (net.ipv4.tcp_rmem)",
    ],
    [
      "seccomp off",
      baseline,
      podWith({ securityContext: { seccompProfile: { type: "Unconfined" } } }),
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
  ];
  test.each(cases)("%s", (_what, level, pod, expected) => {
    expect(describeViolations(violations(level, { metadata: pod.metadata, spec: pod.spec as PodSpec }))).toBe(expected);
  });
});

const namespace = (labels: Record<string, string>): Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: "blue",
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value]),
    ),
  },
  spec: {},
});
const pluginIn = (labels: Record<string, string>) =>
  new PodSecurity(new MapReader().put(namespaces, namespace(labels)));

describe("PodSecurity", () => {
  test("refuses what the namespace does not allow", async () => {
    const pod = podWith({ hostNetwork: true });
    await expect(admit(pluginIn({ enforce: "baseline" }), writeOf(pods, pod))).rejects.toThrow(
      'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    );
    await admit(pluginIn({}), writeOf(pods, pod));
  });

  test("warns of what it would refuse, also in templates", async () => {
    const plugin = pluginIn({ warn: "restricted", "warn-version": "v1.30", audit: "baseline" });
    const write = writeOf(pods, podWith({ hostIPC: true }));
    await admit(plugin, write);
    expect(write.warnings[0]).toStartWith(
      'would violate PodSecurity "restricted:v1.30": host namespaces (hostIPC=true)',
    );
    expect(write.auditAnnotations["pod-security.kubernetes.io/audit-violations"]).toBe(
      'would violate PodSecurity "baseline:latest": host namespaces (hostIPC=true)',
    );
    const deployment: Deployment = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "d", namespace: "blue" },
      spec: { selector: {}, template: { metadata: {}, spec: podWith({ hostPID: true }).spec as PodSpec } },
    };
    const templated = writeOf(deployments, deployment);
    await admit(pluginIn({ enforce: "baseline" }), templated);
    expect(templated.warnings).toEqual(['would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)']);
  });

  test("an update that changes no image is not looked at", async () => {
    const pod = podWith({ hostNetwork: true });
    const update = writeOf(pods, pod, { operation: "UPDATE", oldObject: structuredClone(pod) });
    await admit(pluginIn({ enforce: "restricted" }), update);
  });

  test("refuses labels that mean nothing", async () => {
    const write = writeOf(namespaces, namespace({ enforce: "strong", "warn-version": "1.2" }));
    await expect(admit(pluginIn({}), write)).rejects.toThrow(
      'Namespace "blue" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strong": must be one of privileged, baseline, restricted,',
    );
  });

  test("tells which pods a stricter level would refuse", async () => {
    const reader = new MapReader().put(namespaces, namespace({})).put(pods, podWith({ hostNetwork: true }), {
      ...podWith({ hostNetwork: true }),
      metadata: { name: "q", namespace: "blue" },
    });
    const write = writeOf(namespaces, namespace({ enforce: "baseline" }), {
      operation: "UPDATE",
      oldObject: namespace({}),
    });
    await admit(new PodSecurity(reader), write);
    expect(write.warnings).toEqual([
      'existing pods in namespace "blue" violate the new PodSecurity enforce level "baseline:latest"',
      "p (and 1 other pod): host namespaces",
    ]);
  });
});

test("what is exempt is not judged, but counted", async () => {
  const reader = new MapReader();
  const exemptions = { ...usualPodSecurity.exemptions, namespaces: ["blue"], runtimeClasses: ["vm"] };
  const defaults = { ...usualPodSecurity.defaults, enforce: restricted };
  const plugin = new PodSecurity(reader, { defaults, exemptions });
  const { count: before } = podSecurityExemptions.of(["create", "pod", ""]);
  await admit(plugin, writeOf(pods, podWith(), { namespace: "blue" }));
  await admit(plugin, writeOf(pods, podWith({ runtimeClassName: "vm" }), { namespace: "red" }));
  await expect(admit(plugin, writeOf(pods, podWith(), { namespace: "red" }))).rejects.toThrow("violates PodSecurity");
  expect(podSecurityExemptions.of(["create", "pod", ""]).count - before).toBe(2);
});
