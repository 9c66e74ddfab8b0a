import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HelmChart, HelmChartConfig } from "#shared/api/helm-chart.ts";
import { chartJob, contentSecret, hashAnnotation } from "./chart-job.ts";

const defaults = { image: "registry.example/helm:1", httpsPort: 6443 };
type Spec = NonNullable<HelmChart["spec"]>;
const chartOf = (spec: Spec): HelmChart => ({
  apiVersion: "helm.cattle.io/v1",
  kind: "HelmChart",
  metadata: { name: "web", namespace: "kube-system", uid: "u" },
  spec,
});
const configOf = (spec: NonNullable<HelmChartConfig["spec"]>): HelmChartConfig => ({
  apiVersion: "helm.cattle.io/v1",
  kind: "HelmChartConfig",
  metadata: { name: "web", namespace: "kube-system" },
  spec,
});
const podOf = (spec: Spec, config?: HelmChartConfig) =>
  chartJob(chartOf(spec), config, "install", defaults, []).spec.template.spec;
const argsOf = (spec: Spec, config?: HelmChartConfig) => podOf(spec, config)?.containers[0]?.args;
const envOf = (spec: Spec, config?: HelmChartConfig) =>
  Object.fromEntries((podOf(spec, config)?.containers[0]?.env ?? []).map(({ name, value }) => [name, value]));

test("a chart of a repository", () => {
  const spec = { chart: "web", repo: "https://charts.example", version: "1.2.3", targetNamespace: "shop" };
  expect(argsOf({ ...spec, createNamespace: true, timeout: "10m" })).toEqual([
    ...["--version", "1.2.3", "--repo", "https://charts.example", "--create-namespace", "--timeout", "10m"],
  ]);
  expect(envOf(spec)).toMatchObject({
    NAME: "web",
    CHART: "web",
    HELM_NAMESPACE: "shop",
    FAILURE_POLICY: "reinstall",
  });
  expect(podOf(spec)?.containers[0]?.image).toBe("registry.example/helm:1");
  expect(podOf({ ...spec, jobImage: "own:2" })?.containers[0]?.image).toBe("own:2");
});

test("a chart that the object carries is asked of no repository", () => {
  const spec = { chartContent: "aGk=\n", repo: "https://charts.example", version: "1" };
  expect(argsOf(spec)).toEqual([]);
  expect(envOf(spec)["CHART"]).toBe("/content/chart.tgz");
  expect(contentSecret(chartOf(spec), undefined).data).toEqual({ "chart.tgz": "aGk=" });
});

test("values: later ones win, those of a HelmChartConfig above all", () => {
  const spec = {
    chart: "web",
    valuesContent: "a: 1",
    valuesSecrets: [{ name: "mine", keys: ["x.yaml", "y.yaml"] }],
    set: { zone: "true", "list.of": "a,b", count: 3, text: "3", asked: "$(HOME)" },
  };
  const config = configOf({
    valuesContent: "a: 2",
    valuesSecrets: [{ name: "theirs", keys: ["z.yaml"] }],
    failurePolicy: "abort",
  });
  expect(argsOf(spec, config)).toEqual([
    ...["--values", "/content/values-0.yaml", "--values", "/values/chart/mine/x.yaml"],
    ...["--values", "/values/chart/mine/y.yaml", "--values", "/content/values-1.yaml"],
    ...["--values", "/values/config/theirs/z.yaml"],
    ...["--set-string", "asked=$$(HOME)", "--set", "count=3", "--set-string", "list.of=a\\,b"],
    ...["--set-string", "text=3", "--set", "zone=true"],
  ]);
  expect(envOf(spec, config)["FAILURE_POLICY"]).toBe("abort");
  expect(podOf(spec, config)?.volumes?.map(({ secret }) => secret?.secretName)).toEqual([
    ...[undefined, "chart-values-web", "mine", "theirs"],
  ]);
});

test("credentials come from Secrets, authorities from the object and a ConfigMap", () => {
  const spec = {
    chart: "oci://registry.example/web",
    authSecret: { name: "login" },
    repoCA: "PEM",
    repoCAConfigMap: { name: "more" },
    dockerRegistrySecret: { name: "docker" },
    plainHTTP: true,
  };
  expect(argsOf(spec)).toEqual([
    ...["--ca-file", "/tmp/ca.pem", "--username", "$(AUTH_USERNAME)", "--password", "$(AUTH_PASSWORD)", "--plain-http"],
  ]);
  expect(podOf(spec)?.volumes?.map(({ name }) => name)).toEqual(["tmp", "content", "ca", "registry"]);
  expect(envOf(spec)["HELM_REGISTRY_CONFIG"]).toBe("/registry/config.json");
});

test("one that the network needs runs beside a master, without the network", () => {
  const pod = podOf({ chart: "cni", bootstrap: true });
  expect(pod).toMatchObject({ hostNetwork: true, nodeSelector: { "node-role.kubernetes.io/control-plane": "true" } });
  expect(envOf({ chart: "cni", bootstrap: true })).toMatchObject({
    KUBERNETES_SERVICE_HOST: "127.0.0.1",
    KUBERNETES_SERVICE_PORT: "6443",
  });
});

test("a release goes without what it was installed from", () => {
  const spec = {
    ...{ chart: "web", targetNamespace: "shop", timeout: "1m", valuesSecrets: [{ name: "mine", keys: ["x"] }] },
    ...{ authSecret: { name: "login" }, repoCAConfigMap: { name: "ca" }, dockerRegistrySecret: { name: "docker" } },
  };
  const pod = chartJob(chartOf(spec), configOf({ valuesContent: "a: 1" }), "delete", defaults, []).spec.template.spec;
  expect(pod?.volumes?.map(({ name }) => name)).toEqual(["tmp", "content"]);
  expect(pod?.containers[0]?.args).toEqual(["--timeout", "1m"]);
  expect(pod?.containers[0]?.env?.map(({ name }) => name)).toEqual([
    ...["NAME", "CHART", "FAILURE_POLICY", "HELM_NAMESPACE", "HOME"],
  ]);
});

test("an image may call its Helm helm_v3", () => {
  const folder = mkdtempSync(join(tmpdir(), "helm-v3-"));
  try {
    writeFileSync(join(folder, "helm_v3"), '#!/bin/sh\necho "helm_v3 $*"\n');
    chmodSync(join(folder, "helm_v3"), 0o755);
    const run = (action: "install" | "delete"): string => {
      const pod = chartJob(chartOf({ chart: "web", version: "1" }), undefined, action, defaults, []).spec.template.spec;
      const { command = [], args = [] } = pod?.containers[0] ?? {};
      const cmd = [...command, ...args].map((word) => word.replaceAll("$$(", () => "$("));
      const env = { PATH: `${folder}:/usr/bin:/bin`, NAME: "web", CHART: "web", FAILURE_POLICY: "reinstall" };
      return Bun.spawnSync({ cmd, env }).stdout.toString().trim();
    };
    expect(run("install")).toBe("helm_v3 upgrade --install web web --version 1");
    expect(run("delete")).toBe("helm_v3 uninstall web --ignore-not-found --wait");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what asks for another Job", () => {
  const hash = (spec: Spec, config?: HelmChartConfig, referenced: unknown = []): string | undefined =>
    chartJob(chartOf(spec), config, "install", defaults, referenced).metadata.annotations?.[hashAnnotation];
  const same = hash({ chart: "web", valuesContent: "a: 1" });
  expect(hash({ chart: "web", valuesContent: "a: 1" })).toBe(same as string);
  const others = [
    hash({ chart: "web", valuesContent: "a: 2" }),
    hash({ chart: "web", valuesContent: "a: 1" }, configOf({ valuesContent: "b: 1" })),
    hash({ chart: "web", valuesContent: "a: 1" }, undefined, [["c2VjcmV0"]]),
    hash({ chart: "web", valuesContent: "a: 1", version: "2" }),
  ];
  expect(new Set([same, ...others]).size).toBe(5);
});
