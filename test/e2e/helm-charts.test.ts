import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { HelmChart } from "#shared/api/helm-chart.ts";
import {
  type ChartSource,
  helm,
  reader,
  startChartRegistry,
  startChartRepository,
} from "../support/chart-repositories.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { clientBinaries } from "../support/kubectl.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(900_000);

const jobImage = "docker.io/bramble-test/helm:4";
const secret = (name: string, type: string, stringData: Record<string, string>): object => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name, namespace: "kube-system" },
  type,
  stringData,
});
const chart = (name: string, spec: HelmChart["spec"]): object => ({
  apiVersion: "helm.cattle.io/v1",
  kind: "HelmChart",
  metadata: { name, namespace: "kube-system" },
  spec,
});

describe("charts as objects", () => {
  let it: TestCluster;
  let repository: ChartSource & { readonly url: string };
  let registry: ChartSource & { readonly host: string };
  const versions = ["0.1.0", "0.2.0"];

  beforeAll(async () => {
    const masterArgs = ["--helm-job-image", jobImage];
    it = await startCluster({ name: "helm", workers: 1, masterArgs });
    const archive = join(it.cluster.dir, "helm.tar");
    const program = { path: "bin/helm", mode: 0o755, content: readFileSync(clientBinaries().helm) };
    writeFileSync(archive, busyboxArchive(jobImage, {}, [program]));
    await it.cluster.load(archive, () => undefined);
    const address = `${it.prefix}.1`;
    const folder = join(it.cluster.dir, "charts");
    mkdirSync(folder);
    for (const version of versions) await helm(it.kubeconfig, "package", writeChart(version), "--destination", folder);
    await helm(it.kubeconfig, "repo", "index", folder);
    repository = await startChartRepository({ address, folder });
    registry = await startChartRegistry({ address, folder: join(it.cluster.dir, "registry") });
    const ca = join(it.cluster.dir, "registry-ca.crt");
    writeFileSync(ca, registry.ca);
    const login = ["--ca-file", ca, "--username", reader.username, "--password", reader.password];
    for (const version of versions)
      await helm(
        it.kubeconfig,
        "push",
        join(folder, `greets-${version}.tgz`),
        `oci://${registry.host}/fleet`,
        ...login,
      );
  });
  afterAll(async () => {
    await repository?.stop();
    await registry?.stop();
    await it?.stop();
  });

  /** One that says a text and serves; with `broken`, a part of it is refused by the API. */
  function writeChart(version: string): string {
    const folder = join(it.cluster.dir, version, "greets");
    const write = (name: string, text: string): void => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    };
    write("Chart.yaml", `apiVersion: v2\nname: greets\nversion: ${version}\n`);
    write("values.yaml", `text: ""\nname: you\nimage: ${image}\nbroken: false\n`);
    const text = "{{ .Values.text }} {{ .Values.name }} {{ .Chart.Version }}";
    write(
      "templates/greeting.yaml",
      `apiVersion: v1
kind: ConfigMap
metadata: { name: "{{ .Release.Name }}" }
data: { text: "${text}" }
{{- if .Values.broken }}
---
apiVersion: v1
kind: ConfigMap
metadata: { name: No_Such_Name }
{{- end }}
`,
    );
    const labels = '{ app: "{{ .Release.Name }}" }';
    write(
      "templates/server.yaml",
      `apiVersion: apps/v1
kind: Deployment
metadata: { name: "{{ .Release.Name }}" }
spec:
  selector: { matchLabels: ${labels} }
  template:
    metadata: { labels: ${labels} }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: main, image: "{{ .Values.image }}", command: [sleep, infinity] }]
`,
    );
    return folder;
  }

  const untilGreets = (namespace: string, name: string, text: string): Promise<string> =>
    it.until((output) => output === text, "get", "configmap", name, "-n", namespace, "-o", "jsonpath={.data.text}");
  const untilFailed = (name: string, status: "True" | "False"): Promise<string> => {
    const path = 'jsonpath={.status.conditions[?(@.type=="Failed")].status}';
    return it.until((output) => output === status, "get", "helmchart", name, "-n", "kube-system", "-o", path);
  };
  const release = async (namespace: string, name: string): Promise<{ version: number; info: { status: string } }> =>
    JSON.parse(await helm(it.kubeconfig, "status", name, "-n", namespace, "-o", "json"));

  test("a manifest in the folder: from a repository with password and CA, upgraded, overridden, gone when it leaves the file", async () => {
    const file = it.cluster.file("master-1", "/var/lib/bramble/manifests/greets.yaml");
    const put = (spec: HelmChart["spec"] | "no chart"): void => {
      const repo = { repo: repository.url, repoCA: repository.ca, authSecret: { name: "repo-auth" }, chart: "greets" };
      const target = { targetNamespace: "shop", createNamespace: true };
      const objects = [
        secret("repo-auth", "kubernetes.io/basic-auth", reader),
        ...(spec === "no chart" ? [] : [chart("greets", { ...repo, ...target, ...spec })]),
      ];
      writeFileSync(file, objects.map((object) => JSON.stringify(object)).join("\n---\n"));
    };
    put({ version: "0.1.0", valuesContent: "text: hello" });
    await untilGreets("shop", "greets", "hello you 0.1.0");
    it.kubectl("rollout", "status", "deployment/greets", "-n", "shop", "--timeout=180s");
    await untilFailed("greets", "False");

    put({ version: "0.2.0", valuesContent: "text: good day", set: { name: "all, of you" } });
    await untilGreets("shop", "greets", "good day all, of you 0.2.0");
    it.apply({
      apiVersion: "helm.cattle.io/v1",
      kind: "HelmChartConfig",
      metadata: { name: "greets", namespace: "kube-system" },
      spec: { valuesContent: "text: good evening" },
    });
    await untilGreets("shop", "greets", "good evening all, of you 0.2.0");
    it.kubectl("delete", "helmchartconfig", "greets", "-n", "kube-system");
    await untilGreets("shop", "greets", "good day all, of you 0.2.0");

    put("no chart");
    await it.until(/^$/, "get", "helmchart,job", "-n", "kube-system", "-o", "name");
    expect(it.kubectl("get", "configmap/greets", "deployment/greets", "-n", "shop", "--ignore-not-found")).toBe("");
    expect(it.kubectl("get", "secret", "-n", "shop", "-l", "owner=helm", "-o", "name")).toBe("");
    const rights = "clusterrolebinding/helm-kube-system-greets";
    expect(it.kubectl("get", rights, "--ignore-not-found", "-o", "name")).toBe("");
    await it.until(/^$/, "get", "serviceaccount/helm-greets", "-n", "kube-system", "--ignore-not-found", "-o", "name");
  });

  test("from an OCI registry: a release that failed is left to people, or made anew, as its policy says", async () => {
    const { username, password } = reader;
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    const repoCAConfigMap = { name: "registry-ca" };
    const apply = (spec: HelmChart["spec"]): void => {
      const source = {
        chart: `oci://${registry.host}/fleet/greets`,
        dockerRegistrySecret: { name: "registry" },
        repoCAConfigMap,
      };
      it.apply(chart("strict", { ...source, targetNamespace: "default", backOffLimit: 0, ...spec }));
    };
    it.apply([
      secret("registry", "kubernetes.io/dockerconfigjson", {
        ".dockerconfigjson": JSON.stringify({ auths: { [registry.host]: { auth } } }),
      }),
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { ...repoCAConfigMap, namespace: "kube-system" },
        data: { "ca.crt": registry.ca },
      },
    ]);
    apply({ version: "0.1.0", failurePolicy: "abort", valuesContent: "text: first" });
    await untilGreets("default", "strict", "first you 0.1.0");
    await untilFailed("strict", "False");
    const uid = (): string => it.kubectl("get", "configmap", "strict", "-o", "jsonpath={.metadata.uid}");
    const before = uid();

    apply({ version: "0.2.0", failurePolicy: "abort", valuesContent: "text: second\nbroken: true" });
    await untilFailed("strict", "True");
    expect((await release("default", "strict")).info.status).toBe("failed");
    const path = '{.metadata.uid} {.status.conditions[?(@.type=="Failed")].status}';
    const endOfJob = ["get", "job", "helm-install-strict", "-n", "kube-system", "-o", `jsonpath=${path}`];
    const [failed = ""] = it.kubectl(...endOfJob).split(" ");
    apply({ version: "0.2.0", failurePolicy: "abort", valuesContent: "text: third" });
    await it.until((output) => output.endsWith(" True") && !output.startsWith(failed), ...endOfJob);
    expect((await release("default", "strict")).version).toBe(2);
    expect(uid()).toBe(before);

    apply({ version: "0.2.0", failurePolicy: "reinstall", valuesContent: "text: fourth" });
    await untilGreets("default", "strict", "fourth you 0.2.0");
    await untilFailed("strict", "False");
    expect(await release("default", "strict")).toMatchObject({ version: 1, info: { status: "deployed" } });
    expect(uid()).not.toBe(before);
    it.kubectl("delete", "helmchart", "strict", "-n", "kube-system", "--timeout=180s");
    expect(it.kubectl("get", "deployment/strict", "--ignore-not-found", "-o", "name")).toBe("");
  });
});
