import { describe, expect, test } from "bun:test";
import { namespaces, nodes, pods, priorityClasses, serviceAccounts } from "#shared/api/resources.ts";
import type { Node, Pod, PodSpec, ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import { admit, writeOf } from "../../../test/support/admission.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { DefaultTolerationSeconds } from "./default-toleration-seconds.ts";
import { NamespaceLifecycle } from "./namespace-lifecycle.ts";
import { Priority } from "./priority.ts";
import { ServiceAccountPlugin } from "./service-account.ts";
import { TaintNodesByCondition } from "./taint-nodes-by-condition.ts";

const podWith = (spec: Partial<PodSpec> = {}, annotations?: Record<string, string>): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", namespace: "blue", ...(annotations ? { annotations } : {}) },
  spec: { containers: [{ name: "c" }], ...spec },
});

const account = (name: string, more: Partial<ServiceAccount> = {}): ServiceAccount => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, namespace: "blue" },
  ...more,
});

describe("NamespaceLifecycle", () => {
  const reader = new MapReader();
  const namespace = (name: string, phase: string) =>
    reader.put(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {}, status: { phase } });
  namespace("blue", "Active");
  namespace("going", "Terminating");
  const plugin = new NamespaceLifecycle(reader);

  test("refuses what would be made in a missing or going namespace", async () => {
    await admit(plugin, writeOf(pods, podWith()));
    await expect(admit(plugin, writeOf(pods, podWith(), { namespace: "red" }))).rejects.toThrow(
      'namespaces "red" not found',
    );
    const refused = admit(plugin, writeOf(pods, podWith(), { namespace: "going" }));
    await expect(refused).rejects.toMatchObject({
      message:
        'pods "web" is forbidden: unable to create new content in namespace going because it is being terminated',
      options: { causes: [{ reason: "NamespaceTerminating", field: "metadata.namespace" }] },
    });
    await admit(plugin, writeOf(pods, undefined, { namespace: "going", name: "web", operation: "DELETE" }));
    await admit(plugin, writeOf(pods, podWith(), { namespace: "going", operation: "UPDATE" }));
  });

  test("waits a moment for a namespace that is just coming", async () => {
    const coming = admit(plugin, writeOf(pods, podWith(), { namespace: "late" }));
    namespace("late", "Active");
    await coming;
  });

  test("keeps the system's namespaces", async () => {
    const deletion = writeOf(namespaces, undefined, { operation: "DELETE", name: "kube-system" });
    await expect(admit(plugin, deletion)).rejects.toThrow(
      'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    );
  });
});

describe("ServiceAccount", () => {
  const reader = new MapReader().put(
    serviceAccounts,
    account("default", { imagePullSecrets: [{ name: "registry" }] }),
    account("quiet", { automountServiceAccountToken: false }),
    account("strict", {
      metadata: {
        name: "strict",
        namespace: "blue",
        annotations: { "kubernetes.io/enforce-mountable-secrets": "true" },
      },
      secrets: [{ name: "allowed" }],
    }),
  );
  const plugin = new ServiceAccountPlugin(reader);

  test("gives a pod the default account, its pull secrets and a token in every container", async () => {
    const pod = podWith({ initContainers: [{ name: "i" }] });
    await admit(plugin, writeOf(pods, pod));
    const name = pod.spec?.volumes?.[0]?.name ?? "";
    expect(name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    const mount = { name, readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };
    expect(pod.spec).toEqual({
      containers: [{ name: "c", volumeMounts: [mount] }],
      initContainers: [{ name: "i", volumeMounts: [mount] }],
      serviceAccountName: "default",
      serviceAccount: "default",
      imagePullSecrets: [{ name: "registry" }],
      volumes: [
        {
          name,
          projected: {
            defaultMode: 420,
            sources: [
              { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
              { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
              {
                downwardAPI: {
                  items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
                },
              },
            ],
          },
        },
      ],
    });
  });

  test("mounts nothing where pod or account say so, or something stands there", async () => {
    const quiet = podWith({ serviceAccountName: "quiet" });
    await admit(plugin, writeOf(pods, quiet));
    expect(quiet.spec?.volumes).toBeUndefined();
    const asked = podWith({ serviceAccountName: "quiet", automountServiceAccountToken: true });
    await admit(plugin, writeOf(pods, asked));
    expect(asked.spec?.volumes).toHaveLength(1);
    const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
    const own = podWith({ containers: [{ name: "c", volumeMounts: [{ name: "mine", mountPath }] }] });
    await admit(plugin, writeOf(pods, own));
    expect(own.spec?.volumes).toBeUndefined();
  });

  test("refuses an account that does not come", async () => {
    await expect(admit(plugin, writeOf(pods, podWith({ serviceAccountName: "ghost" })))).rejects.toThrow(
      'pods "web" is forbidden: error looking up service account blue/ghost: serviceaccount "ghost" not found',
    );
  });

  test("waits for the default account of a new namespace", async () => {
    const fresh = new MapReader();
    const pod = podWith();
    const admitted = admit(new ServiceAccountPlugin(fresh), writeOf(pods, pod));
    fresh.put(serviceAccounts, account("default"));
    await admitted;
    expect(pod.spec?.serviceAccountName).toBe("default");
  });

  test("keeps to the secrets of an account that says so", async () => {
    const volumes = [{ name: "v", secret: { secretName: "other" } }];
    await expect(admit(plugin, writeOf(pods, podWith({ serviceAccountName: "strict", volumes })))).rejects.toThrow(
      'volume with secret.secretName="other" is not allowed because service account strict does not reference that secret',
    );
  });

  test("leaves a mirror pod as it is, and refuses one that takes secrets", async () => {
    const mirror = { "kubernetes.io/config.mirror": "x" };
    const pod = podWith({}, mirror);
    await admit(plugin, writeOf(pods, pod));
    expect(pod.spec).toEqual({ containers: [{ name: "c" }] });
    const thief = podWith({ imagePullSecrets: [{ name: "s" }] }, mirror);
    await expect(admit(plugin, writeOf(pods, thief))).rejects.toThrow("a mirror pod may not reference secrets");
  });
});

describe("Priority", () => {
  const reader = new MapReader();
  const priorityClass = (name: string, value: number, globalDefault = false) => ({
    apiVersion: "scheduling.k8s.io/v1" as const,
    kind: "PriorityClass" as const,
    metadata: { name },
    value,
    globalDefault,
    preemptionPolicy: "PreemptLowerPriority",
  });
  reader.put(priorityClasses, priorityClass("high", 1000));
  const plugin = new Priority(reader);

  test("resolves the class; without one and without a default it is 0", async () => {
    const high = podWith({ priorityClassName: "high" });
    await admit(plugin, writeOf(pods, high));
    expect(high.spec).toMatchObject({ priority: 1000, preemptionPolicy: "PreemptLowerPriority" });
    const plain = podWith();
    await admit(plugin, writeOf(pods, plain));
    expect(plain.spec).toMatchObject({ priority: 0, preemptionPolicy: "PreemptLowerPriority" });
    expect(plain.spec?.priorityClassName).toBeUndefined();
  });

  test("refuses an unknown class and a priority of one's own", async () => {
    await expect(admit(plugin, writeOf(pods, podWith({ priorityClassName: "x" })))).rejects.toThrow(
      "no PriorityClass with name x was found",
    );
    await expect(admit(plugin, writeOf(pods, podWith({ priority: 7 })))).rejects.toThrow(
      "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0",
    );
  });

  test("keeps the priority over an update that drops it", async () => {
    const pod = podWith();
    await admit(plugin, writeOf(pods, pod, { operation: "UPDATE", oldObject: podWith({ priority: 5 }) }));
    expect(pod.spec?.priority).toBe(5);
  });

  test("takes the global default, and refuses a second one", async () => {
    const own = new MapReader().put(priorityClasses, priorityClass("usual", 10, true));
    const pod = podWith();
    await admit(new Priority(own), writeOf(pods, pod));
    expect(pod.spec).toMatchObject({ priorityClassName: "usual", priority: 10 });
    await expect(admit(new Priority(own), writeOf(priorityClasses, priorityClass("other", 1, true)))).rejects.toThrow(
      "PriorityClass usual is already marked as default. Only one default can exist",
    );
  });
});

describe("DefaultTolerationSeconds", () => {
  test("adds what is missing only", async () => {
    const pod = podWith({ tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists" }] });
    await admit(new DefaultTolerationSeconds(), writeOf(pods, pod));
    expect(pod.spec?.tolerations?.[1]).toEqual({
      key: "node.kubernetes.io/unreachable",
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 60,
    });
    const all = podWith({ tolerations: [{ operator: "Exists" }] });
    await admit(new DefaultTolerationSeconds(), writeOf(pods, all));
    expect(all.spec?.tolerations).toHaveLength(1);
  });
});

describe("TaintNodesByCondition", () => {
  test("taints a new node once", async () => {
    const node: Node = { apiVersion: "v1", kind: "Node", metadata: { name: "a" }, spec: {} };
    await admit(new TaintNodesByCondition(), writeOf(nodes, node));
    await admit(new TaintNodesByCondition(), writeOf(nodes, node));
    expect(node.spec?.taints).toEqual([{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }]);
  });
});
