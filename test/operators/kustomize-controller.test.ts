/** Flux's kustomize-controller, unmodified, against Bramble's API server: sources that the test serves are applied, waited for,
 *  corrected and pruned. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { KubeObject } from "#shared/api/object.ts";
import { configMaps, deployments, namespaces, roleBindings, roles, serviceAccounts } from "#shared/api/resources.ts";
import { until } from "#shared/testing/until.ts";
import {
  type Custom,
  canRun,
  customRef,
  found,
  type OperatorHost,
  type RunningProgram,
  startOperatorHost,
  untilCondition,
} from "./installed.ts";

setDefaultTimeout(300_000);

const kustomizations = customRef("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations");
const repositories = customRef("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories");
const namespace = "default";
const requested = "reconcile.fluxcd.io/requestedAt";

const configMap = (name: string, data: Record<string, string>): KubeObject =>
  ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data }) as KubeObject;
const deployment = (name: string): KubeObject => {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: "a", image: "a:1" }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name, namespace }, spec } as KubeObject;
};

describe.skipIf(!canRun("kustomize-controller"))("kustomize-controller", () => {
  let host: OperatorHost;
  let controller: RunningProgram;
  const artifacts = new Map<string, Buffer<ArrayBuffer>>();
  const files = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => new Response(artifacts.get(new URL(url).pathname) ?? null, { status: 200 }),
  });

  beforeAll(async () => {
    host = await startOperatorHost();
    const metadata = { name: "flux-system" };
    await host.admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata, spec: {} });
    await host.define("kustomize-controller");
    await host.define("source-controller");
    controller = host.run("kustomize-controller", ["--metrics-addr=0", "--health-addr=0", "--requeue-dependency=1s"], {
      KUBECONFIG: host.kubeconfig,
      RUNTIME_NAMESPACE: "flux-system",
    });
  });
  afterAll(async () => {
    await host.stop();
    await files.stop(true);
  });

  /** As source-controller would, makes the objects what a repository holds at a revision. */
  async function publish(name: string, revision: number, objects: readonly KubeObject[]): Promise<void> {
    const archive = packed(objects);
    const path = `/${name}-${revision}.tar.gz`;
    artifacts.set(path, archive);
    const key = { namespace, name };
    if (!(await found(host.admin.get(repositories, key)))) {
      const spec = { interval: "1h", url: "https://a.example/a" };
      const source = { apiVersion: "source.toolkit.fluxcd.io/v1", kind: "GitRepository", metadata: key, spec };
      await host.admin.create(repositories, source as Custom, { namespace });
    }
    const now = new Date().toISOString();
    const artifact = {
      path,
      url: `http://127.0.0.1:${files.port}${path}`,
      revision: `main@sha1:${String(revision).padStart(40, "0")}`,
      digest: `sha256:${createHash("sha256").update(archive).digest("hex")}`,
      size: archive.length,
      lastUpdateTime: now,
    };
    const conditions = [{ type: "Ready", status: "True", reason: "Succeeded", message: "", lastTransitionTime: now }];
    const body = { status: { observedGeneration: 1, artifact, conditions } };
    await host.admin.patch(repositories, key, { type: "merge", body }, { subresource: "status" });
  }

  async function follow(name: string, spec: object = {}): Promise<void> {
    const sourceRef = { kind: "GitRepository", name };
    const whole = { interval: "1h", retryInterval: "1s", prune: true, path: "./", sourceRef, ...spec };
    const object = {
      apiVersion: "kustomize.toolkit.fluxcd.io/v1",
      kind: "Kustomization",
      metadata: { name },
      spec: whole,
    };
    await host.admin.create(kustomizations, object as Custom, { namespace });
  }
  const is = (name: string, status: "True" | "False", reason: string): Promise<Custom> =>
    untilCondition(host.admin, kustomizations, { namespace, name }, { type: "Ready", status, reason });
  const isAt = (name: string, revision: number): Promise<true> =>
    until(`${name} is at ${revision}`, async () => {
      const { status } = await is(name, "True", "ReconciliationSucceeded");
      return String(status?.["lastAppliedRevision"]).endsWith(`0${revision}`) ? true : undefined;
    });
  const change = (name: string, body: object): Promise<Custom> =>
    host.admin.patch(kustomizations, { namespace, name }, { type: "merge", body });
  const ask = (name: string, token: string): Promise<Custom> =>
    change(name, { metadata: { annotations: { [requested]: token } } });
  const configOf = async (name: string): Promise<Record<string, string> | undefined> =>
    (await found(host.admin.get(configMaps, { namespace, name })))?.data;

  /** What the deployment's controller would write of it, once it is there. */
  async function becomes(name: string, status: object): Promise<void> {
    const key = { namespace, name };
    const { metadata } = await until(`deployment ${name}`, () => found(host.admin.get(deployments, key)));
    const body = { status: { observedGeneration: metadata.generation, ...status } };
    await host.admin.patch(deployments, key, { type: "merge", body }, { subresource: "status" });
  }

  test("applies what its source holds, as its own", async () => {
    await publish("app", 1, [configMap("one", { a: "1" }), configMap("two", { b: "2" })]);
    await follow("app");
    await isAt("app", 1);
    expect(await configOf("one")).toEqual({ a: "1" });
    const { metadata } = await host.admin.get(configMaps, { namespace, name: "two" });
    expect(metadata.labels).toMatchObject({ "kustomize.toolkit.fluxcd.io/name": "app" });
    expect(metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: "kustomize-controller", operation: "Apply" }),
    );
    const { status } = await host.admin.get(kustomizations, { namespace, name: "app" });
    expect(status?.["inventory"]).toEqual({
      entries: ["one", "two"].map((name) => ({ id: `default_${name}__ConfigMap`, v: "v1" })),
    });
  });

  test("follows its source, and prunes what that holds no more", async () => {
    await publish("app", 2, [configMap("one", { a: "2" }), configMap("three", {})]);
    await isAt("app", 2);
    expect(await configOf("one")).toEqual({ a: "2" });
    expect(await found(host.admin.get(configMaps, { namespace, name: "two" }))).toBeUndefined();
    expect(await found(host.admin.get(configMaps, { namespace, name: "three" }))).toBeDefined();
  });

  test("corrects what others change", async () => {
    const drifted = { type: "merge", body: { data: { a: "other" } } } as const;
    await host.admin.patch(configMaps, { namespace, name: "one" }, drifted, { fieldManager: "kubectl-edit" });
    await ask("app", "drift");
    await until("it is corrected", async () => ((await configOf("one"))?.["a"] === "2" ? true : undefined));
  });

  test("leaves all as it is while it is suspended", async () => {
    await change("app", { spec: { suspend: true } });
    await controller.hasSaid("Reconciliation is suspended for this object");
    const drifted = { type: "merge", body: { data: { a: "other" } } } as const;
    await host.admin.patch(configMaps, { namespace, name: "one" }, drifted);
    await publish("app", 3, [configMap("one", { a: "3" })]);
    await ask("app", "suspended");
    // Another one is through meanwhile.
    await publish("other", 1, [configMap("four", {})]);
    await follow("other");
    await isAt("other", 1);
    expect(await configOf("one")).toEqual({ a: "other" });
    await change("app", { spec: { suspend: false } });
    await isAt("app", 3);
    expect(await configOf("one")).toEqual({ a: "3" });
    expect(await found(host.admin.get(configMaps, { namespace, name: "three" }))).toBeUndefined();
  });

  test("waits until what it applied is well", async () => {
    await publish("waiting", 1, [deployment("web")]);
    await follow("waiting", { wait: true, timeout: "240s" });
    const counts = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
    const done = { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable" };
    await becomes("web", { ...counts, conditions: [{ type: "Available", status: "True" }, done] });
    const { status } = await is("waiting", "True", "ReconciliationSucceeded");
    expect(status?.conditions).toContainEqual(expect.objectContaining({ type: "Healthy", status: "True" }));
  });

  test("tells what does not become well", async () => {
    await publish("late", 1, [deployment("never")]);
    await follow("late", { wait: true, timeout: "240s" });
    await becomes("never", {
      conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }],
    });
    const object = await is("late", "False", "HealthCheckFailed");
    expect(JSON.stringify(object.status)).toContain("Deployment/default/never");
  });

  test("applies as the account that it is given, with what that one may", async () => {
    const name = "deployer";
    const metadata = { name, namespace };
    await host.admin.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata }, { namespace });
    await publish("narrow", 1, [configMap("five", { e: "5" })]);
    await follow("narrow", { serviceAccountName: name });
    const refused = await is("narrow", "False", "ReconciliationFailed");
    expect(JSON.stringify(refused.status)).toContain(`system:serviceaccount:${namespace}:${name}`);
    const apiVersion = "rbac.authorization.k8s.io/v1";
    const rules = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["*"] }];
    await host.admin.create(roles, { apiVersion, kind: "Role", metadata, rules }, { namespace });
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name };
    const subjects = [{ kind: "ServiceAccount", name, namespace }];
    await host.admin.create(
      roleBindings,
      { apiVersion, kind: "RoleBinding", metadata, roleRef, subjects },
      { namespace },
    );
    await isAt("narrow", 1);
    expect(await configOf("five")).toEqual({ e: "5" });
  });

  test("takes all with it that it applied", async () => {
    await host.admin.delete(kustomizations, { namespace, name: "app" });
    await until("it is gone", async () =>
      (await found(host.admin.get(kustomizations, { namespace, name: "app" }))) ? undefined : true,
    );
    expect(await found(host.admin.get(configMaps, { namespace, name: "one" }))).toBeUndefined();
    expect(await found(host.admin.get(configMaps, { namespace, name: "four" }))).toBeDefined();
  });
});

/** A gzipped archive of one manifest. */
function packed(objects: readonly KubeObject[]): Buffer<ArrayBuffer> {
  const folder = mkdtempSync(join(tmpdir(), "source-"));
  try {
    writeFileSync(join(folder, "all.yaml"), objects.map((object) => stringify(object)).join("---\n"));
    const { stdout, success, stderr } = Bun.spawnSync(["tar", "-czf", "-", "-C", folder, "all.yaml"]);
    if (!success) throw new Error(stderr.toString());
    return Buffer.from(stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
