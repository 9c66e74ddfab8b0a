/** The controller on a real API server. Jobs are done by the real Helm, with a container's folders moved to the test's. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type HelmChart, type HelmChartConfig, helmChartConfigs, helmCharts } from "#shared/api/helm-chart.ts";
import { keyOf, splitKey } from "#shared/api/object.ts";
import { clusterRoleBindings, configMaps, customResourceDefinitions, jobs, secrets } from "#shared/api/resources.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import { type RunningController, runController } from "#shared/client/controller.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { silentLog } from "#shared/client/log.ts";
import { startTestServer, type TestServer } from "../../../test/support/apiserver.ts";
import { clientBinaries, runClient } from "../../../test/support/kubectl.ts";
import { Definitions } from "../../apiserver/extensions/definitions.ts";
import { helmDefinitions } from "./definitions.ts";
import { helmChartController } from "./helm-chart.ts";

setDefaultTimeout(400_000);

const { helm } = clientBinaries();
let server: TestServer;
let definitions: Definitions;
let informers: InformerFactory;
let controller: RunningController;
let repository: ReturnType<typeof Bun.serve>;
let pods: Promise<void>;
let isOver: boolean;
const recorded: string[] = [];

beforeEach(async () => {
  server = await startTestServer();
  const { api, client } = server;
  const webhooks = { call: () => Promise.reject(new Error("no webhook is meant")) };
  definitions = new Definitions({ reader: api.reader, serving: api, client, webhooks, log: silentLog });
  await definitions.start();
  for (const definition of helmDefinitions) await client.create(customResourceDefinitions, definition);
  informers = new InformerFactory(client);
  informers.start();
  const defaults = { image: "helm", httpsPort: 6443 };
  const events = { record: (_: unknown, { reason }: { reason: string }) => void recorded.push(reason) };
  controller = await runController(helmChartController(defaults), { client, informers, events });
  repository = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => new Response(Bun.file(join(server.folder, "repository", new URL(url).pathname))),
  });
  isOver = false;
  pods = doJobs();
});
afterEach(async () => {
  isOver = true;
  await pods;
  await controller.stop();
  await informers.stop();
  definitions.stop();
  await repository.stop(true);
  await server.stop();
});

/** What the Job controller, a kubelet and the garbage collector would do. */
async function doJobs(): Promise<void> {
  while (!isOver) {
    for (const job of (await server.client.list(jobs)).items) {
      if (job.metadata.deletionTimestamp) {
        const body = { metadata: { finalizers: null } };
        await server.client.patch(jobs, splitKey(keyOf(job)), { type: "merge", body });
      } else if (!job.status?.conditions?.length) await finish(job, await runContainer(job));
    }
    await Bun.sleep(50);
  }
}

async function finish(job: Job, isDone: boolean): Promise<void> {
  const now = new Date().toISOString().replace(/\.\d+/, "");
  const condition = (type: string) => ({ type, status: "True", lastProbeTime: now, lastTransitionTime: now });
  const ends = isDone ? ["SuccessCriteriaMet", "Complete"] : ["FailureTarget", "Failed"];
  const status = {
    startTime: now,
    ...(isDone ? { completionTime: now } : {}),
    conditions: ends.map((type) => ({ ...condition(type), reason: "Tested", message: "as it ended" })),
  };
  const how = { type: "merge", body: { status } } as const;
  await server.client.patch(jobs, splitKey(keyOf(job)), how, { subresource: "status" });
}

/** Whether it ended well. */
async function runContainer({ metadata, spec }: Job): Promise<boolean> {
  const folder = join(server.folder, `pod-${metadata.uid}`);
  const pod = spec.template.spec;
  const [container] = pod?.containers ?? [];
  if (!container) throw new Error("a Job has one container");
  for (const { name, mountPath } of container.volumeMounts ?? []) {
    mkdirSync(join(folder, mountPath), { recursive: true });
    const volume = pod?.volumes?.find((each) => each.name === name);
    if (!volume?.secret) continue;
    const key = { namespace: metadata.namespace, name: volume.secret.secretName ?? "" };
    for (const [file, text] of Object.entries((await server.client.get(secrets, key)).data ?? {}))
      writeFileSync(join(folder, mountPath, file), Buffer.from(text, "base64"));
  }
  const inside = (text: string): string =>
    text.replace(/^\/(?=content|values|tmp)/, `${folder}/`).replaceAll("$$(", () => "$(");
  const env = Object.fromEntries((container.env ?? []).map(({ name, value = "" }) => [name, inside(value)]));
  const child = Bun.spawn([...(container.command ?? []), ...(container.args ?? [])].map(inside), {
    env: { ...env, PATH: `${dirname(helm)}:${process.env["PATH"]}`, KUBECONFIG: server.kubeconfig },
    stdout: "ignore",
    stderr: "ignore",
  });
  return (await child.exited) === 0;
}

async function runHelm(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runClient(helm, server.kubeconfig, args);
  if (code !== 0) throw new Error(`helm ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** A chart of one ConfigMap, in the repository's folder. */
async function packChart(version: string, template = ""): Promise<string> {
  const folder = join(server.folder, "repository");
  const chart = join(server.folder, version, "greets");
  mkdirSync(join(chart, "templates"), { recursive: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(chart, "Chart.yaml"), `apiVersion: v2\nname: greets\nversion: ${version}\n`);
  writeFileSync(join(chart, "values.yaml"), "greeting: none\nname: none\n");
  const greeting = `apiVersion: v1
kind: ConfigMap
metadata: { name: "{{ .Release.Name }}" }
data: { text: "{{ .Values.greeting }} {{ .Values.name }} {{ .Chart.Version }}" }
${template}`;
  writeFileSync(join(chart, "templates", "greeting.yaml"), greeting);
  await runHelm("package", chart, "--destination", folder);
  await runHelm("repo", "index", folder);
  return join(folder, `greets-${version}.tgz`);
}

const system = (name: string) => ({ namespace: "kube-system", name });
const make = (name: string, spec: NonNullable<HelmChart["spec"]>): Promise<HelmChart> =>
  server.client.create(helmCharts, {
    apiVersion: "helm.cattle.io/v1",
    kind: "HelmChart",
    metadata: system(name),
    spec,
  });
const change = (name: string, spec: NonNullable<HelmChart["spec"]>): Promise<HelmChart> =>
  server.client.patch(helmCharts, system(name), { type: "merge", body: { spec } });

async function until(what: () => Promise<unknown>, wanted: unknown): Promise<void> {
  for (;;) {
    const is = await what().catch((error: Error) => error.message);
    if (Bun.deepEquals(is, wanted)) return;
    await Bun.sleep(50);
  }
}
const greeting = (key: string) => async (): Promise<unknown> =>
  (await server.client.get(configMaps, splitKey(key))).data?.["text"];
const failedIs = (name: string) => async (): Promise<unknown> =>
  (await server.client.get(helmCharts, system(name))).status?.conditions?.find(({ type }) => type === "Failed")?.status;

test("a chart that its object carries: installed, upgraded with the object and its HelmChartConfig, uninstalled", async () => {
  const chartContent = readFileSync(await packChart("0.1.0")).toString("base64");
  const spec = { chartContent, targetNamespace: "shop", createNamespace: true, set: { name: "you, too" } };
  await make("carried", { ...spec, valuesContent: "greeting: hello" });
  await until(greeting("shop/carried"), "hello you, too 0.1.0");
  await until(failedIs("carried"), "False");
  expect((await server.client.get(helmCharts, system("carried"))).status?.jobName).toBe("helm-install-carried");
  await change("carried", { valuesContent: "greeting: good day" });
  await until(greeting("shop/carried"), "good day you, too 0.1.0");
  const override: HelmChartConfig = {
    apiVersion: "helm.cattle.io/v1",
    kind: "HelmChartConfig",
    metadata: system("carried"),
    spec: { valuesContent: "greeting: good evening" },
  };
  await server.client.create(helmChartConfigs, override);
  await until(greeting("shop/carried"), "good evening you, too 0.1.0");
  // Helm notes at its end that the release is deployed.
  const releases = async (): Promise<unknown> =>
    (JSON.parse(await runHelm("list", "-n", "shop", "-o", "json")) as Record<string, string>[]).map(
      ({ name, revision, status }) => [name, revision, status],
    );
  await until(releases, [["carried", "3", "deployed"]]);
  await server.client.delete(helmCharts, system("carried"));
  const charts = async (): Promise<number> => (await server.client.list(helmCharts)).items.length;
  await until(charts, 0);
  expect(JSON.parse(await runHelm("list", "-n", "shop", "-o", "json"))).toEqual([]);
  expect((await server.client.list(configMaps, { namespace: "shop" })).items).toEqual([]);
  expect((await server.client.list(clusterRoleBindings)).items).toEqual([]);
  expect(recorded).toContain("RemoveJob");
});

test("a chart of a repository in a version, with values of a Secret; what failed is made anew", async () => {
  await packChart("0.2.0");
  await packChart("0.3.0", "---\napiVersion: v1\nkind: NoSuchKind\nmetadata: { name: x }\n");
  await packChart("0.4.0");
  await server.client.create(secrets, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: system("greeting"),
    stringData: { "v.yaml": "greeting: hi" },
  });
  const repo = `http://127.0.0.1:${repository.port}`;
  const valuesSecrets = [{ name: "greeting", keys: ["v.yaml"] }];
  await make("fetched", { repo, chart: "greets", version: "0.2.0", valuesSecrets });
  await until(greeting("kube-system/fetched"), "hi none 0.2.0");
  await change("fetched", { version: "0.3.0" });
  await until(failedIs("fetched"), "True");
  await change("fetched", { version: "0.4.0" });
  await until(greeting("kube-system/fetched"), "hi none 0.4.0");
  await until(failedIs("fetched"), "False");
});
